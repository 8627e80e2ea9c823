"""What `solarhub` can do with tariffs and bills."""
