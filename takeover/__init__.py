"""The spec of a farm from the configuration of a load balancer that runs today, and the fate of each of its lines.

Imports core, readers, spec.
"""
