"""The Ansible rollout.

Imports the root, core, spec, generators, export, nodes, nodes.config.
"""
