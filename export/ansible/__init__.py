"""The Ansible rollout.

Imports the root, core, spec, generators, nodes, nodes.config.
"""
