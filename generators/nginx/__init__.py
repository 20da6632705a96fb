"""NGINX, open source.

Imports core, spec, generators.
"""
