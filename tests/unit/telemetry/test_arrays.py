"""Columns as one value each: what PostgreSQL and Python must agree on."""

import math
import struct
from datetime import UTC, date, datetime
from uuid import UUID

import pytest

from cloud.telemetry.repository.arrays import array_literal, floats_of, json_literal, moments_of


@pytest.mark.parametrize(
    ("column", "literal"),
    [
        ([1, None, -3], "{1,null,-3}"),
        ([None, None], "{}"),
        ([], "{}"),
        ([229.1, 1e-7, -0.0], "{229.1,1e-7,-0.0}"),
        (["Asia/Karachi", None], '{"Asia/Karachi",null}'),
        ([UUID(int=5)], '{"00000000-0000-0000-0000-000000000005"}'),
        ([date(2026, 6, 1)], '{"2026-06-01"}'),
        ([datetime(2026, 6, 1, 19, tzinfo=UTC)], '{"2026-06-01T19:00:00Z"}'),
    ],
)
def test_a_column_is_an_array(column: list[object], literal: str) -> None:
    assert array_literal(column) == literal


def test_what_is_no_number_in_json_is_still_read() -> None:
    assert floats_of("[1, 2.5, null]") == [1.0, 2.5, None]
    odd = floats_of('["NaN", "Infinity", "-Infinity", 3, null]')
    assert odd[0] is not None
    assert math.isnan(odd[0])
    assert odd[1:] == [math.inf, -math.inf, 3.0, None]


def test_moments_are_unix_time() -> None:
    head = struct.pack(">iiIii", 1, 0, 1184, 2, 1)
    body = struct.pack(">iqiq", 8, 0, 8, 1)
    assert moments_of(head + body) == [946_684_800_000_000, 946_684_800_000_001]


def test_metrics_are_json() -> None:
    assert json_literal([{"a": {"mean": 1.5}}, None]) == '[{"a":{"mean":1.5}},null]'
