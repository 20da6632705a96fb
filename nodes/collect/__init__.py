"""The script of `nlbgen nodes collect`, and the rules by which it replaces secrets.

Imports core, spec, spec.strings, nodes, nodes.config.
"""
