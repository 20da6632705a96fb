"""F5 BIG-IP by iControl REST.

Imports core, spec, push.f5.
"""
