"""The running farm, read and compared with the spec.

Imports core, net, spec, generators.
"""
