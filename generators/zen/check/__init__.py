"""Strict checks of the Zen family's files, because no engine can run here; the product calls `files.check` only.

Imports core, spec.
"""
