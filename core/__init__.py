"""What all packages use: errors, excerpts of source lines, activity, files, interrupts, templates, plans, wording.

Imports the root.
"""
