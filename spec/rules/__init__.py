"""The rules that a spec is held to, by the part of the spec they look at.

Imports core, spec.
"""
