"""Onto devices: what the farm should be against what is there, a plan, one transaction, and a look at the result."""
