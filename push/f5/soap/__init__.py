"""F5 BIG-IP by iControl SOAP.

Imports core, spec, generators.f5, push, push.f5.
"""
