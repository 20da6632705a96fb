"""The scorecard: thresholds, results, output formats.

Imports core, spec, prove.lab, prove.scenarios.
"""
