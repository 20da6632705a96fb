"""The rules about several keys of a spec, one module for each part of the spec.

Imports core, spec, spec.strings.
"""
