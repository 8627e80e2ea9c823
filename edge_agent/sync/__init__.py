"""Brings what is stored to the cloud, in three lanes that do not wait for each other.

The live lane says what is newest; the back-fill lane sends the outbox in order and deletes only what is acknowledged; the alert lane
sends openings and ends. An outage, a refusal or a lost answer never costs a reading.
"""
