"""Columns that travel as the text of arrays come out of PostgreSQL as they went in."""

import asyncio
import math
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.core.bulk import json_text, pg_array
from cloud.ingest.rules import json_safe

Ask = Callable[..., Any]


@pytest.fixture(scope="module")
def ask(postgres_admin_url: str) -> Iterator[Ask]:
    """A function that gives one value for a statement and its parameters."""
    # With a loop of its own making the runner leaves the suite's alone.
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        connection = runner.run(asyncpg.connect(postgres_admin_url))

        def one(statement: str, *parameters: object) -> Any:
            return runner.run(connection.fetchval(statement, *parameters))

        yield one
        runner.run(connection.close())


def optional(values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.none() | values, max_size=8)


finite = st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    [
        "",
        "null",
        "NULL",
        "{}",
        '"',
        "\\",
        '\\"',
        "a,b",
        "line\nfeed\r\ttab",
        "\u2028",
        "\x7f",
        "شمسی",
        "😀",
        "{a,NULL}",
        "\\u0041",
    ]
)


@given(optional(finite))
def test_numbers_of_double_precision_keep_every_bit(ask: Ask, values: list[float | None]) -> None:
    found = ask("SELECT $1::text::double precision[]", pg_array(values))
    # repr: -0.0 equals 0.0.
    assert repr(found) == repr(values)


@given(optional(st.floats(width=32, allow_nan=False, allow_infinity=False, allow_subnormal=False)))
def test_numbers_of_real_keep_every_bit(ask: Ask, values: list[float | None]) -> None:
    assert repr(ask("SELECT $1::text::real[]", pg_array(values))) == repr(values)


@given(st.integers(0, 9_999_999), st.integers(0, 6))
def test_seven_digits_come_out_of_real_as_the_same_decimal(ask: Ask, digits: int, places: int) -> None:
    value = round(digits / 10**places, places)
    assert ask("SELECT (($1::text::real[])[1])::text::double precision", pg_array([value])) == value


@given(optional(st.integers(-(2**63), 2**63 - 1)))
def test_whole_numbers(ask: Ask, values: list[int | None]) -> None:
    assert ask("SELECT $1::text::bigint[]", pg_array(values)) == values


@given(optional(st.booleans()))
def test_truth_values(ask: Ask, values: list[bool | None]) -> None:
    assert ask("SELECT $1::text::boolean[]", pg_array(values)) == values


@given(optional(st.uuids()))
def test_identifiers(ask: Ask, values: list[Any]) -> None:
    found = ask("SELECT $1::text::uuid[]", pg_array(values))
    assert [value and str(value) for value in found] == [value and str(value) for value in values]


@given(optional(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))))  # noqa: DTZ001 - hypothesis wants naive bounds
def test_moments(ask: Ask, values: list[datetime | None]) -> None:
    assert ask("SELECT $1::text::timestamptz[]", pg_array(values)) == values


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_json_cannot_say_is_null(ask: Ask, value: float) -> None:
    """`json_safe` makes it a word before; a column of numbers never gets it."""
    assert ask("SELECT $1::text::double precision[]", pg_array([1.5, value])) == [1.5, None]


def test_a_number_too_near_to_nothing_for_real_is_refused(ask: Ask) -> None:
    with pytest.raises(asyncpg.NumericValueOutOfRangeError):
        ask("SELECT $1::text::real[]", pg_array([1e-50]))


@given(optional(texts))
def test_texts_travel_as_json(ask: Ask, values: list[str | None]) -> None:
    statement = """
        SELECT coalesce(array_agg(one ORDER BY place), '{}')
        FROM jsonb_array_elements_text($1::text::jsonb) WITH ORDINALITY AS t (one, place)
    """
    assert ask(statement, json_text(values)) == values


@given(st.dictionaries(texts, st.none() | finite | texts | st.sampled_from([math.nan, math.inf, "a\0b"]), max_size=4))
def test_an_object_of_values_is_the_same_in_the_database(ask: Ask, values: dict[str, Any]) -> None:
    safe = {key: json_safe(value) for key, value in values.items()}
    for key, value in safe.items():
        kind = "double precision" if isinstance(value, float) else "text"
        statement = f"SELECT ($1::text::jsonb ->> $2)::{kind}"
        assert ask(statement, json_text(safe), key) == value
    assert ask("SELECT count(*) FROM jsonb_object_keys($1::text::jsonb)", json_text(safe)) == len(safe)
