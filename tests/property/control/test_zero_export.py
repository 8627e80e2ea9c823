"""The loop on a simulated site: it ends export within seconds, and never follows a meter that it cannot trust."""

import itertools
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.control.zero_export import FULL_PERCENT, Loop, Seen, Why, ZeroExportSettings, begin, step

RATED_KW = 10.0
SETTINGS = ZeroExportSettings(rated_kw=RATED_KW, meter_proof_s=3.0)
KW = st.floats(0, 12)
PERIOD_S = 1.0


def played(
    settings: ZeroExportSettings, loop: Loop, moments: Iterable[tuple[float, float]]
) -> list[tuple[Loop, float]]:
    """The loop on a site: sun and load (kW) of each second; returns its state and what the meter then sees.

    The inverter follows a limit one second after it was given.
    """
    told, seen_kw = [], 0.0
    inverter_kw = 0.0
    for sun_kw, load_kw in moments:
        inverter_kw = min(sun_kw, loop.limit_percent / FULL_PERCENT * settings.rated_kw)
        seen_kw = load_kw - inverter_kw
        loop = step(loop, Seen(seen_kw, 0.5, inverter_kw, PERIOD_S), settings)
        told.append((loop, seen_kw))
    return told


@given(KW, KW)
def test_a_steady_site_exports_nothing_and_loses_little_sun(sun_kw: float, load_kw: float) -> None:
    told = played(SETTINGS, begin(SETTINGS), [(sun_kw, load_kw)] * 90)
    for loop, grid_kw in told:
        assert grid_kw >= -1e-9, loop
    usable_kw = min(sun_kw, max(0.0, load_kw - SETTINGS.import_margin_kw), RATED_KW)
    delivered_kw = load_kw - told[-1][1]
    assert delivered_kw >= usable_kw - RATED_KW * SETTINGS.least_change_percent / 100 - 1e-9


@given(st.lists(st.tuples(KW, KW), min_size=1, max_size=60))
def test_whatever_happens_export_ends_with_the_next_reading(moments: list[tuple[float, float]]) -> None:
    held = list(itertools.chain.from_iterable([moment] * 3 for moment in moments))
    told = played(SETTINGS, begin(SETTINGS), held)
    for first in range(0, len(held), 3):
        # The first second of a new load shows it, from the second on the inverter has been told.
        for _, grid_kw in told[first + 1 : first + 3]:
            assert grid_kw >= -1e-9


@given(
    st.lists(st.tuples(st.none() | st.floats(-20, 20), st.floats(0, 20), st.none() | st.floats(-1, 12)), max_size=80)
)
def test_the_limit_is_a_percentage_and_rises_only_with_a_fresh_proven_meter(
    readings: list[tuple[float | None, float, float | None]],
) -> None:
    loop = begin(SETTINGS)
    for grid_kw, age_s, inverter_kw in readings:
        before = loop
        loop = step(before, Seen(grid_kw, age_s, inverter_kw, PERIOD_S), SETTINGS)
        assert 0 <= loop.limit_percent <= FULL_PERCENT
        if loop.limit_percent > before.limit_percent:
            assert grid_kw is not None
            assert age_s <= SETTINGS.meter_max_age_s
            assert grid_kw > SETTINGS.import_margin_kw
            assert loop.limit_percent - before.limit_percent <= SETTINGS.raise_percent_per_s * PERIOD_S + 1e-9
            assert loop.why is Why.RAISED
        if grid_kw is None or age_s > SETTINGS.meter_max_age_s:
            assert (loop.limit_percent, loop.why) == (SETTINGS.fallback_percent, Why.METER_LOST)


def test_a_meter_that_comes_back_is_followed_after_its_proof() -> None:
    settings = ZeroExportSettings(rated_kw=RATED_KW, meter_proof_s=3.0, fallback_percent=30)
    loop = begin(settings)
    whys = []
    for age_s in (0.1, 9.0, 0.1, 0.1, 0.1, 0.1, 0.1):
        loop = step(loop, Seen(4.0, age_s, 3.0, PERIOD_S), settings)
        whys.append((loop.why, loop.limit_percent))
    assert whys[:5] == [
        (Why.METER_UNPROVEN, 30),
        (Why.METER_LOST, 30),
        (Why.METER_UNPROVEN, 30),
        (Why.METER_UNPROVEN, 30),
        (Why.METER_UNPROVEN, 30),
    ]
    assert whys[5] == (Why.RAISED, 32)


def test_export_lowers_the_limit_even_while_the_meter_is_unproven() -> None:
    settings = ZeroExportSettings(rated_kw=RATED_KW, fallback_percent=50)
    loop = step(begin(settings), Seen(-2.0, 0.1, 5.0, PERIOD_S), settings)
    assert loop.why is Why.METER_UNPROVEN
    assert loop.limit_percent == pytest.approx(29.5)


@pytest.mark.parametrize(("grid_kw", "age_s"), [(1.0, float("nan")), (float("nan"), 0.1), (float("inf"), 0.1)])
def test_what_is_no_number_is_no_reading(grid_kw: float, age_s: float) -> None:
    loop = step(Loop(60.0, 99.0, Why.HELD), Seen(grid_kw, age_s, 5.0, PERIOD_S), SETTINGS)
    assert (loop.why, loop.limit_percent) == (Why.METER_LOST, SETTINGS.fallback_percent)


@pytest.mark.parametrize(
    ("field", "value"),
    [("rated_kw", 0), ("import_margin_kw", -1), ("fallback_percent", 101), ("meter_max_age_s", float("inf"))],
)
def test_settings_that_make_no_loop_are_refused(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=field):
        ZeroExportSettings(**{"rated_kw": RATED_KW, field: value})
