"""The nodes' own configuration: compared, planned, changed, and nothing else touched.

Imports core, spec, nodes.config.
"""
