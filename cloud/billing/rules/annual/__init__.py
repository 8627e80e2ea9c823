"""A year of bills at once."""
