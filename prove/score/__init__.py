"""The scorecard: thresholds, results, output formats.

Imports core, spec, generators, prove.lab, prove.scenarios.
"""
