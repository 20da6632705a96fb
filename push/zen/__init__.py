"""The Zen family by its API (zapi).

Imports core, spec, generators, generators.zen, push.
"""
