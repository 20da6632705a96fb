"""Vendors: each generator translates the checked spec into its own configuration; the core decides.

Imports core, net, spec.
"""
