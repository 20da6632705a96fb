"""The rules about configurations of NGINX, one module for each subject.

Imports core, lint, readers, readers.nginx.
"""
