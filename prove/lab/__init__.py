"""The lab: the real balancer before simulated nodes, on loopback.

Imports core, net, spec, generators, prove.clients, prove.nodes.
"""
