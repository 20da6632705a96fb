"""What all packages use: errors, activity, files, interrupts, templates, plans, wording.

Imports the root.
"""
