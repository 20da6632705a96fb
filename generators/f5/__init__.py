"""F5 BIG-IP: the objects of a farm, and the files made of them.

Imports core, spec, generators.
"""
