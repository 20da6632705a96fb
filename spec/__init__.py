"""The spec: farm.yaml as checked, typed, placed data."""
