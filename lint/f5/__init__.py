"""The rules about configurations of F5 BIG-IP, one module for each subject.

Imports core, lint, readers, readers.f5.
"""
