"""F5 BIG-IP: the plan, and what its three APIs share.

Imports core, spec, generators, generators.f5, push.f5.rest, push.f5.as3, push.f5.soap.
"""
