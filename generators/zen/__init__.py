"""The Zen family: the objects of a farm, and the files made of them.

Imports core, spec, generators, generators.zen.check.
"""
