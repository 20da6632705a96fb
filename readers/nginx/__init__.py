"""nginx.conf and the files that it includes: words, statements, and the model with NGINX's inheritance.

Imports core, readers.
"""
