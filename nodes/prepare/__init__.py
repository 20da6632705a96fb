"""What `nlbgen render nodes` writes: prepared configurations, transforms, scripts, the runbook.

Imports the root, core, spec, nodes, nodes.config.
"""
