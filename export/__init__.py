"""What leaves for other tools and other people.

Imports core.
"""
