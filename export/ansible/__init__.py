"""The rollout by Ansible.

Imports the root, core, spec, generators.
"""
