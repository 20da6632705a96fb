"""The scenarios: what happens to a farm in its life, played on this machine. base.py says what a scenario is."""
