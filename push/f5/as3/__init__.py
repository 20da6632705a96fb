"""F5 BIG-IP by AS3, which is an extension of iControl REST.

Imports core, spec, generators.f5, push, push.f5, push.f5.rest.
"""
