"""The nodes' own config files: keys, plan, apply and audit; only the planned values change.

Imports core, spec, spec.rules, spec.strings, nodes.config.
"""
