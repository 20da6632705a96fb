"""The scenarios: failures and events that the lab causes. base.py has an example.

Imports core, net, spec, generators, operate, prove.clients, prove.lab.
"""
