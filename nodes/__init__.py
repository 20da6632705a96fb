"""The nodes' own configuration: read, compared, planned, changed, and nothing else touched."""
