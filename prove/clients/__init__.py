"""Clients: requests, load, SignalR sessions, robots.

Imports net.
"""
