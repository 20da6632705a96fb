"""Configurations of load balancers as they were written, with the location of each word; nothing is skipped in silence.

Imports core.
"""
