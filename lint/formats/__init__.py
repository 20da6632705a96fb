"""Findings as text with the source line, JSON, annotations of GitHub, and SARIF 2.1.0.

Imports core, lint, readers, the root.
"""
