"""What all packages use: errors, activity, files, templates, plans, wording.

Imports the root.
"""
