"""Columns of many rows, each travelling as one value.

A driver looks at every value of every row; here it only sees one text for each column, which PostgreSQL and msgspec write and read ten
times as fast. JSON has the shortest decimal of every number, and a number of type REAL is the decimal that was stored.
"""

import struct
from collections.abc import Sequence
from typing import Any

import msgspec

_encode = msgspec.json.Encoder().encode
_floats = msgspec.json.Decoder(list[float | None])
_FRAME_BYTES = 20
"""Before the elements of a binary array of one dimension: dimensions, flags, type, length, lower bound."""

_UNIX_US_OF_2000 = 946_684_800_000_000


def array_literal(column: Sequence[Any]) -> str:
    """A column as a literal of a PostgreSQL array; one of nothing but None is an empty array, which `unnest` fills up with NULL.

    Words must be plain (names, codes): what JSON escapes, an array would spell differently.
    """
    if column.count(None) == len(column):
        return "{}"
    return "{" + _encode(column)[1:-1].decode() + "}"


def json_literal(column: Sequence[Any]) -> str:
    """A column as JSON."""
    return _encode(column).decode()


def moments_of(array: bytes) -> list[int]:
    """Microseconds of Unix time from `array_send` of an array of timestamptz without NULL."""
    return [since_2000 + _UNIX_US_OF_2000 for _, since_2000 in struct.iter_unpack(">iq", array[_FRAME_BYTES:])]


def floats_of(array: str) -> list[float | None]:
    """Numbers from a JSON array; what JSON has no number for (NaN, the infinities) comes as words."""
    try:
        return _floats.decode(array)
    except msgspec.ValidationError:
        return [None if value is None else float(value) for value in msgspec.json.decode(array, type=list[Any])]
