"""F5 BIG-IP by AS3.

Imports core, spec, generators.f5, push.f5, push.f5.rest.
"""
