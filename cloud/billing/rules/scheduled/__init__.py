"""Tariffs by month and hour, with tiers and demand charges."""
