"""Which backend a spec needs, and a push by it: what the command line calls.

Imports core, spec, push, push.f5, push.f5.rest, push.f5.as3, push.f5.soap, push.zen.
"""
