"""Exports for other tools and for people: Ansible rollout, report, topology, and the window of an upgrade.

Imports core, spec, generators, nodes.
"""
