"""What every room stands on: errors, activity, files, templates, plans, wording.

Imports the root.
"""
