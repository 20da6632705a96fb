"""The lab: the real balancer in front of simulated nodes, on loopback.

Imports core, net, spec, generators, operate, prove.clients, prove.nodes.
"""
