"""Tariffs, bills, and the energy that bills stand on, in the database."""
