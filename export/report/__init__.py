"""One HTML page with everything about a farm.

Imports the root, core, spec, generators, nodes, nodes.prepare, export, export.topology.
"""
