"""Versions in time: every day is ruled once, by nobody, or twice, and each case is told; differences are what differs."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.billing.rules.versions import Span, changes, gaps_between, overlapping, room_for, unknown_rates, written

START = date(2026, 1, 1)


def day(offset: int) -> date:
    return START + timedelta(days=offset)


@st.composite
def spans(draw: st.DrawFn) -> Span:
    first = draw(st.integers(0, 60))
    length = draw(st.none() | st.integers(0, 30))
    return Span(day(first), None if length is None else day(first + length))


@given(st.lists(spans(), max_size=8))
def test_gaps_are_the_days_nobody_rules(versions: list[Span]) -> None:
    found = gaps_between(versions)
    missing = {day(n) for n in range(100) if any(gap.covers(day(n)) for gap in found)}
    if not versions:
        assert not found
        return
    starts = [v.first for v in versions]
    ruled = {day(n) for n in range(100) if any(v.covers(day(n)) for v in versions)}
    between = {day(n) for n in range(100) if min(starts) <= day(n) <= max(starts)}
    assert missing == between - ruled
    assert all(gap.last is not None for gap in found)


@given(st.lists(spans(), max_size=8))
def test_overlaps_are_told_exactly_when_a_day_has_two_rulers(versions: list[Span]) -> None:
    far = max((v.last or v.first for v in versions), default=START) + timedelta(days=1)
    days = [day(n) for n in range(100)] + [far]
    twice = any(sum(v.covers(d) for v in versions) > 1 for d in days)
    assert bool(overlapping(versions)) is twice
    for earlier, later in overlapping(versions):
        assert earlier.first <= later.first


@given(spans(), spans())
def test_overlapping_is_mutual(one: Span, other: Span) -> None:
    assert one.overlaps(other) is other.overlaps(one)
    assert one.overlaps(one)


DOCUMENTS = st.dictionaries(
    st.sampled_from(["a", "b", "rates"]),
    st.none() | st.booleans() | st.integers() | st.text(max_size=4) | st.lists(st.integers(), max_size=3),
)


@given(DOCUMENTS, DOCUMENTS)
def test_changes_go_both_ways(old: dict[str, Any], new: dict[str, Any]) -> None:
    there, back = changes(old, new), changes(new, old)
    assert {(c.field, c.old, c.new) for c in there} == {(c.field, c.new, c.old) for c in back}
    assert not changes(old, old)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-1000, max_value=1000))
def test_a_number_written_otherwise_is_the_same_number(number: Decimal) -> None:
    assert not changes({"rate": f"{number:f}"}, {"rate": f"{number:f}00"})
    assert Decimal(written(number)) == number


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=6), st.booleans())
def test_every_open_rate_is_named_once(known: list[tuple[bool, bool]], slab_fixed: bool) -> None:
    slabs = [
        {
            "min_units": n * 100 + 1 if n else 0,
            "max_units": (n + 1) * 100,
            **({"rate_per_kwh": "1"} if rate else {}),
            **({"fixed_charges": "1"} if fixed else {}),
        }
        for n, (rate, fixed) in enumerate(known)
    ]
    found = unknown_rates({"pricing_rule": "single_slab", "slabs": slabs, "slab_fixed": slab_fixed})
    open_rates = sum(not rate for rate, _ in known)
    open_fixed = sum(not fixed for _, fixed in known) if slab_fixed else 0
    assert len(found) == len(set(found)) == open_rates + open_fixed


@pytest.mark.parametrize(
    ("rates", "words"),
    [
        ({"pricing_rule": "tou", "peak_rate_per_kwh": "35.68"}, ("the off-peak rate",)),
        ({"pricing_rule": "flat"}, ("the rate per kWh",)),
        ({"pricing_rule": "flat", "energy_charge_per_kwh": "1"}, ()),
    ],
)
def test_time_of_use_and_flat_rates(rates: dict[str, Any], words: tuple[str, ...]) -> None:
    assert unknown_rates(rates) == words


def test_slabs_are_compared_by_their_units() -> None:
    old = {"slabs": [{"min_units": 0, "max_units": 100, "rate_per_kwh": "1"}, {"min_units": 101, "rate_per_kwh": "2"}]}
    new = {"slabs": [{"min_units": 0, "max_units": 100, "rate_per_kwh": "1.50"}, {"min_units": 101}]}
    assert [str(change) for change in changes(old, new)] == [
        "slabs.1-100.rate_per_kwh: 1 -> 1.5",
        "slabs.> 100.rate_per_kwh: no longer given (was 2)",
        "slabs.> 100: without values (was not given)",
    ]


@given(spans(), st.lists(spans(), max_size=6))
def test_what_takes_precedence_is_never_overlapped(span: Span, others: list[Span]) -> None:
    room = room_for(span, others)
    if any(other.covers(span.first) for other in others):
        assert room is None
        return
    assert room is not None
    assert room.first == span.first
    assert not any(room.overlaps(other) for other in others)
    # Not shorter than it must be: it ends where the span does, or the day before another one begins.
    assert room.last == span.last or room.last in {other.first - timedelta(days=1) for other in others}


def test_words_are_a_set_and_tables_of_hours_are_not() -> None:
    assert not changes({"expects": ["fca", "qta"]}, {"expects": ["qta", "fca"]})
    (change,) = changes({"schedule": {"hours": [[1, 2], [2, 1]]}}, {"schedule": {"hours": [[2, 1], [1, 2]]}})
    assert str(change) == "schedule.hours: [1, 2], [2, 1] -> [2, 1], [1, 2]"
