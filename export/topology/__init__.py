"""The farm as a picture: SVG, Mermaid, ASCII.

Imports spec, generators, export.
"""
