"""A rendered configuration in the lab: the run, and what is checked of a device that is not here.

Imports the root, core, net, spec, generators, generators.f5, generators.zen,
prove.clients, prove.lab, prove.nodes, prove.scenarios, prove.score.
"""
