"""Simulated Orchestrator nodes.

Imports net.
"""
