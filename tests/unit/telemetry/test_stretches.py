"""What a stretch of readings at hand can tell by itself of the hours around a change."""

import itertools
from collections.abc import Sequence

import pytest

from cloud.telemetry.rules.context import BASES, Stretch, Timeline

MINUTE = 60_000_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
STRADDLE = 3 * MINUTE
EVER = 1_000 * DAY


def stretch(moments: Sequence[int], *, first: int, last: int) -> Stretch:
    anchors = [at for at in moments if first <= at <= last]
    return Stretch(Timeline(anchors, [0] * len(anchors), {}, anchors), first, last)


POLLS = range(-12 * HOUR, 12 * HOUR, MINUTE)


def affected(found: Stretch, start: int, end: int, *, has_counters: bool = True) -> tuple[int, int] | None:
    return found.affected(start, end, straddle_us=STRADDLE, has_counters=has_counters)


def test_a_change_among_polls_reaches_as_far_as_the_counter_rule_looks() -> None:
    near = stretch(POLLS, first=-4 * HOUR, last=4 * HOUR)
    # Back: four polls and 75 minutes. Ahead: four polls from 0:15 on, 75 minutes, and one poll beyond.
    assert affected(near, 0, 15 * MINUTE) == (-79 * MINUTE, (18 + 75 + 1) * MINUTE)
    assert affected(near, 0, 15 * MINUTE, has_counters=False) == (-STRADDLE, 15 * MINUTE + STRADDLE)


def test_the_newest_readings_have_nothing_behind_them() -> None:
    newest = stretch([at for at in POLLS if at <= 10 * MINUTE], first=-4 * HOUR, last=EVER)
    assert affected(newest, 0, 15 * MINUTE) == (-79 * MINUTE, 15 * MINUTE + STRADDLE)
    assert newest.holds(0, HOUR, straddle_us=STRADDLE, has_counters=True)


@pytest.mark.parametrize(
    ("moments", "first", "last"),
    [
        ([*range(-2 * MINUTE, 8 * HOUR, MINUTE)], -4 * HOUR, 8 * HOUR),
        ([*range(-8 * HOUR, 18 * MINUTE, MINUTE)], -8 * HOUR, 4 * HOUR),
        ([*range(-8 * HOUR, 19 * MINUTE, MINUTE)], -8 * HOUR, 4 * HOUR),
    ],
    ids=["too few before", "too few after", "nothing beyond"],
)
def test_what_is_out_of_sight_is_asked_for(moments: list[int], first: int, last: int) -> None:
    assert affected(stretch(moments, first=first, last=last), 0, 15 * MINUTE) is None
    assert affected(stretch(moments, first=-EVER, last=EVER), 0, 15 * MINUTE) is not None


def test_the_context_of_hours_must_be_at_hand() -> None:
    # Back from 0:00: the last poll, 75 minutes, four polls. Ahead of 1:00: 75 minutes, four polls.
    oldest, newest = -(1 + 75 + BASES) * MINUTE, (60 + 75 + BASES - 1) * MINUTE
    assert stretch(POLLS, first=oldest, last=newest).holds(0, HOUR, straddle_us=STRADDLE, has_counters=True)
    for first, last in ((oldest + 1, newest), (oldest, newest - 1), (MINUTE, newest), (oldest, 30 * MINUTE)):
        found = stretch(POLLS, first=first, last=last)
        assert not found.holds(0, HOUR, straddle_us=STRADDLE, has_counters=True)
    without = stretch([], first=-STRADDLE, last=HOUR + STRADDLE)
    assert without.holds(0, HOUR, straddle_us=STRADDLE, has_counters=False)
    assert not without.holds(0, HOUR, straddle_us=STRADDLE + 1, has_counters=False)


def test_every_hour_that_looks_at_a_change_is_affected_by_it() -> None:
    """The two directions are one relation: what `Timeline.context` takes in and what `affected` reaches."""
    silences = (
        *range(-9 * HOUR, -3 * HOUR, MINUTE),
        *range(-HOUR, 90 * MINUTE, 7 * MINUTE),
        *range(5 * HOUR, 9 * HOUR, MINUTE),
    )
    for moments, dirty in itertools.product((POLLS, silences), (-HOUR, -5 * MINUTE, 0, 40 * MINUTE, 2 * HOUR)):
        whole = stretch(moments, first=-EVER, last=EVER)
        reach = affected(whole, dirty, dirty + 15 * MINUTE)
        assert reach is not None
        for hour in range(-10 * HOUR, 10 * HOUR, HOUR):
            first, last = whole.timeline.context(hour, straddle_us=STRADDLE)
            is_seen = first < dirty + 15 * MINUTE and last >= dirty
            is_reached = reach[0] < hour + HOUR and reach[1] >= hour
            assert is_reached or not is_seen
