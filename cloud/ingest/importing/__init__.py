"""Readings of an earlier system: CSV files, read as a mapping in TOML says, stored under the rules of every other reading."""
