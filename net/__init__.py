"""HTTP/1.1, WebSocket, RESP, bounded connections and event loops: what `prove` and `probe` share.

Imports the root.
"""
