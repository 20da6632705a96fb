"""The bundle: one archive with everything that a change needs, made the same each time, checked without unpacking."""
