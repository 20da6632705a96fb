"""The config files of one node: read, edited, and written back with every other byte unchanged.

Imports core, spec.
"""
