"""F5 BIG-IP by iControl REST.

Imports core, spec, generators.f5, push, push.f5.
"""
