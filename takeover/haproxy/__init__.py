"""The spec of a farm from a haproxy.cfg.

Imports core, generators, generators.haproxy, readers, readers.haproxy, spec, takeover.
"""
