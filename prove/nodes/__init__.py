"""Simulated Orchestrator nodes.

Imports net, spec.
"""
