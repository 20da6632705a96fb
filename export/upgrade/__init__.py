"""The files of `nlbgen render upgrade`: the runbook of the upgrade window, its scripts, configurations and specs.

Imports core, spec, generators, export, nodes, nodes.config, nodes.runbook.
"""
