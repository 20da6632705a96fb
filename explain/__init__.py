"""The text of the documentation about an id, an exit code, a key of the spec, or a line of a rendered file.

Imports core, spec, spec.rules, generators, lint, export.report.
"""
