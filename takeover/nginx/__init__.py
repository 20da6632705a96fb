"""The spec of a farm from an nginx.conf.

Imports core, generators, generators.nginx, readers, readers.nginx, spec, takeover.
"""
