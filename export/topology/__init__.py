"""Diagrams of the farm: SVG, Mermaid, ASCII.

Imports core, spec, generators, export.
"""
