"""The bundle: one archive with everything that a change needs, the same bytes each time, checked without unpacking.

Imports the root, core, spec, generators, nodes.prepare, export.ansible, export.report, export.topology.
"""
