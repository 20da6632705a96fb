"""The Ansible rollout.

Imports the root, core, spec, generators, generators.haproxy, export, nodes, nodes.config.
"""
