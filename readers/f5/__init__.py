"""F5 BIG-IP: bigip.conf, SCF, UCS archives and AS3 declarations.

Imports core, readers.
"""
