"""The rules about configurations of load balancers, their findings, and ignored findings.

`lint/VENDOR/` has the rules of a vendor: each of its modules defines `RULES`.

Imports core, readers.
"""
