"""NGINX, open source.

Imports spec, generators.
"""
