"""Exports for other tools and for people: Ansible rollout, report, topology.

Imports core.
"""
