"""The spec: farm.yaml as checked, typed data with locations.

Imports core, spec.rules, spec.strings.
"""
