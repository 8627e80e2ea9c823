"""Shapes of tariffs and bills."""
