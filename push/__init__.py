"""Push to devices: the wanted objects against what the device has, a plan, one transaction, read back.

Imports nothing.
"""
