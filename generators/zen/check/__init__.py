"""Strict readers of the Zen family's farm files: the judge where no engine can run.

Imports spec, generators.zen.
"""
