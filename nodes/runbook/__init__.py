"""The runbook of the change: its numbered steps for a classic farm and for 2020.10 and later.

Imports core, nodes, nodes.config, spec.
"""
