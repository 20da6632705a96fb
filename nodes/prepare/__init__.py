"""The files of `nlbgen render nodes`: prepared configs, transforms, scripts, and the runbook.

Imports core, spec, spec.strings, nodes, nodes.config, nodes.runbook.
"""
