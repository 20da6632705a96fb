"""The living farm, read and compared with the spec."""
