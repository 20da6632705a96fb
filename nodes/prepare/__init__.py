"""The files of `nlbgen render nodes`: prepared configs, transforms, scripts, and the runbook.

Imports the root, core, spec, nodes, nodes.config, nodes.runbook.
"""
