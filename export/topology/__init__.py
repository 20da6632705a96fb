"""The farm as a picture: SVG, Mermaid, ASCII.

Imports core, spec, generators, export.
"""
