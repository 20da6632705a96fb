"""Push to a device: the one flow, its errors, and HTTPS. The backends are the packages below.

Imports core.
"""
