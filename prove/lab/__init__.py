"""The lab: the real balancer before simulated nodes, on loopback.

Imports core, net, spec, generators, generators.nginx, prove.clients, prove.nodes.
"""
