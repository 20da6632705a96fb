"""F5 BIG-IP: what its three APIs share. Objects, plan, order of commands, certificate files, snapshots.

Imports core, spec, generators, generators.f5, push.
"""
