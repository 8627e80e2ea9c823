"""What can be asked of tariffs and bills."""
