"""Clients and event loops that `prove` and `probe` share: HTTP/1.1, RESP, WebSocket.

Imports the root.
"""
