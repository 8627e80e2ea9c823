"""A year to come."""
