"""HAProxy.

Imports core, spec, generators.
"""
