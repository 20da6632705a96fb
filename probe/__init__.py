"""Compares the running farm with the spec.

Imports core, net, spec, spec.strings, generators.
"""
