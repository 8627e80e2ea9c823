"""Axes hold all values; numbers and dates are written the same way everywhere."""

from datetime import date, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from cloud.reports.rules.axis import label_step, tick_decimals, ticks
from cloud.reports.rules.words import DASH, number, period

values = st.lists(st.one_of(st.none(), st.floats(-1e7, 1e7).filter(lambda v: v == 0 or abs(v) > 1e-4)), max_size=60)


@given(values, st.integers(2, 10))
def test_ticks_hold_every_value_and_are_even(rows: list[float | None], wanted: int) -> None:
    marks = ticks(rows, wanted=wanted)
    known = [value for value in rows if value is not None]
    slack = (marks[-1] - marks[0]) * 1e-9
    assert marks[0] <= min([0.0, *known]) + slack
    assert marks[-1] >= max([0.0, *known]) - slack
    assert 0.0 in marks
    steps = [b - a for a, b in pairwise(marks)]
    assert all(abs(step - steps[0]) <= abs(steps[0]) * 1e-3 for step in steps)
    assert len(marks) <= wanted + 3


@given(values)
def test_neighbouring_marks_are_written_differently(rows: list[float | None]) -> None:
    marks = ticks(rows)
    decimals = tick_decimals(marks)
    written = [number(mark, decimals=decimals) for mark in marks]
    assert len(set(written)) == len(written)


@given(st.integers(0, 5000), st.integers(0, 200))
def test_labels_fit_their_room(count: int, room: int) -> None:
    step = label_step(count, room=room)
    assert step >= 1
    assert len(range(0, count, step)) <= max(1, room)


@given(st.floats(-1e9, 1e9), st.integers(0, 3))
def test_a_number_reads_back(value: float, decimals: int) -> None:
    text = number(value, decimals=decimals)
    assert abs(float(text.replace(",", "")) - value) <= 0.5000001 * 10**-decimals
    assert not text.startswith("-0") or float(text.replace(",", "")) != 0


def test_unknown_is_a_dash() -> None:
    assert number(None) == DASH


@given(st.dates(date(2000, 1, 1), date(2099, 12, 31)), st.integers(0, 800))
def test_a_period_names_its_last_day_and_year(first: date, days: int) -> None:
    last = first + timedelta(days=days)
    words = period(first, last)
    assert words.endswith(f"{last.day} {last:%B %Y}")
    assert words.startswith(f"{first.day} ")
    assert str(first.year) in words
