"""Whatever is asked for, only what the profile allows in so many words passes."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.control.rules import DAY, FLASH_WRITES_PER_DAY, Refusal, Writable, WriteRefusedError, judge, on_step

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
NUMBERS = st.decimals(-200, 200, places=2) | st.sampled_from([Decimal("NaN"), Decimal("Infinity")])


def percent(*, in_flash: bool = False, is_verified: bool = True) -> Writable:
    return Writable("active_power_limit_percent", Decimal(0), Decimal(100), Decimal("0.5"), in_flash, is_verified)


def refusal(writable: Writable, value: Decimal, *ago_s: float) -> WriteRefusedError | None:
    try:
        judge(writable, value, written=[NOW - timedelta(seconds=seconds) for seconds in ago_s], now=NOW)
    except WriteRefusedError as error:
        return error
    return None


@given(NUMBERS, st.booleans(), st.booleans(), st.lists(st.floats(-3600, 2 * 86_400), max_size=40))
def test_what_passes_is_verified_in_range_on_a_step_in_time_and_within_the_budget(
    value: Decimal, in_flash: bool, is_verified: bool, ago_s: list[float]
) -> None:
    writable, ago_s = percent(in_flash=in_flash, is_verified=is_verified), sorted(ago_s, reverse=True)
    if refusal(writable, value, *ago_s) is not None:
        return
    assert is_verified
    assert value.is_finite()
    assert 0 <= value <= 100
    assert value % Decimal("0.5") == 0
    assert not any(0 <= seconds < writable.least_pause.total_seconds() for seconds in ago_s)
    assert not in_flash or sum(abs(seconds) < DAY.total_seconds() for seconds in ago_s) < FLASH_WRITES_PER_DAY


@given(st.decimals(-200, 200, places=3))
def test_what_is_put_on_a_step_passes(value: Decimal) -> None:
    stepped = on_step(percent(), value)
    assert refusal(percent(), stepped) is None
    assert stepped <= max(value, Decimal(0))


@pytest.mark.parametrize(
    ("writable", "value", "ago_s", "reason", "words"),
    [
        (percent(is_verified=False), "50", (), Refusal.UNVERIFIED, "one source only"),
        (percent(), "100.5", (), Refusal.OUT_OF_RANGE, "between 0 and 100"),
        (percent(), "60.3", (), Refusal.OFF_STEP, "send 60.0 or 60.5"),
        (percent(), "60", (0.4,), Refusal.TOO_SOON, "try again in 0.1 s"),
        (percent(in_flash=True), "60", (30,), Refusal.TOO_SOON, "try again in 30.0 s"),
        (percent(in_flash=True), "60", tuple(3000 - 100 * n for n in range(20)), Refusal.FLASH_BUDGET, "tomorrow"),
    ],
)
def test_a_refusal_says_why_and_the_way_out(
    writable: Writable, value: str, ago_s: tuple[float, ...], reason: Refusal, words: str
) -> None:
    error = refusal(writable, Decimal(value), *ago_s)
    assert error is not None
    assert error.reason is reason
    assert words in str(error)


def test_a_clock_that_was_put_back_does_not_forbid_writing_for_ever() -> None:
    assert refusal(percent(), Decimal(50), -3600.0) is None
    flash = percent(in_flash=True)
    an_hour_ahead, a_week_ahead = [-3600.0] * FLASH_WRITES_PER_DAY, [-7 * 86_400.0] * FLASH_WRITES_PER_DAY
    assert refusal(flash, Decimal(50), *an_hour_ahead) is not None
    assert refusal(flash, Decimal(50), *a_week_ahead) is None
