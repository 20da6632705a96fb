"""nlbgen in a web page: the functions that the page calls, the page's files, and the server of `nlbgen serve`.

Imports the root, core, spec, generators, nodes, export, export.report, export.topology, bundle, readers, lint.
"""
