"""Tariffs and bills: the bill that the DISCO sends, line by line."""
