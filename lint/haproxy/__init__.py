"""The rules about haproxy.cfg, one module for each subject.

Imports core, lint, readers, readers.haproxy.
"""
