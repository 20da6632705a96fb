"""The spec of a farm from the configuration of a BIG-IP: bigip.conf, a single configuration file, or a UCS archive.

Imports core, generators, generators.f5, readers, readers.f5, spec, takeover.
"""
