"""One node's configuration files: read, edited, and written back with every other byte as it was.

Imports core.
"""
