"""Clients: requests, load, SignalR sessions, robots.

Imports net, prove.nodes.
"""
