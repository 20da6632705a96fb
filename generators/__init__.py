"""Vendors: each generator translates the checked spec into its own configuration."""
