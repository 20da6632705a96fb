"""The reader of haproxy.cfg, and the effective model of its proxies.

Imports core, readers.
"""
