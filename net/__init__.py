"""HTTP/1.1, WebSocket, RESP, bounded connections and event loops: what `prove`, `probe` and `drift` share.

Imports the root.
"""
