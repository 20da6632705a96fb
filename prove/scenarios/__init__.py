"""The scenarios: what happens to a farm in its life. base.py says what a scenario is.

Imports core, net, spec, generators, prove.clients, prove.lab.
"""
