"""A company's paper bill against ours."""
