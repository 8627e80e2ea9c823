"""Identifiers."""

from uuid import UUID

from uuid_utils.compat import uuid7


def new_id() -> UUID:
    """A new UUIDv7: unique without asking anybody, and in the order of time, so that index pages fill one after another."""
    return uuid7()
