"""HAProxy.

Imports spec, generators.
"""
