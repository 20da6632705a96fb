"""Compares nlbgen's configurations with those of the vendors' manuals and of other generators."""
