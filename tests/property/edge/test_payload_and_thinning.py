"""What is stored is what was read; what is thinned tells the same energy."""

import itertools
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.store.payload import Sample, decode, encode
from edge_agent.store.thinning import thin
from shared.enums import Quality
from tests.edge_world import device_id

KEYS = ("ac_power_kw", "energy_total_kwh", "energy_today_kwh", "operating_state", "ac_voltage_v.l1", "own_quantity")
values = (
    st.none() | st.floats(allow_nan=False, allow_infinity=False, width=64) | st.sampled_from(["producing", "sleeping"])
)


@st.composite
def samples(draw: st.DrawFn) -> list[Sample]:
    moments = draw(
        st.lists(st.tuples(st.integers(1, 3), st.integers(0, 10_000_000)), min_size=1, max_size=40, unique=True)
    )
    return [
        Sample(
            device_id(number),
            mono_ms,
            draw(st.dictionaries(st.sampled_from(KEYS), values, max_size=5)),
            draw(st.sampled_from([Quality.GOOD, Quality.PARTIAL, Quality.LINK_DOWN])),
        )
        for number, mono_ms in moments
    ]


def in_order(group: list[Sample]) -> list[Sample]:
    return sorted(group, key=lambda sample: (sample.mono_ms, str(sample.device_id)))


@given(samples())
def test_a_flush_gives_back_every_reading_as_it_was(group: list[Sample]) -> None:
    encoded = encode(group)
    assert encoded.n == len(group)
    assert in_order(decode(encoded.mono_start, encoded.payload)) == in_order(group)


def test_nothing_is_not_a_flush() -> None:
    with pytest.raises(ValueError, match="at least one"):
        encode([])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_is_not_available(value: float) -> None:
    encoded = encode([Sample(device_id(1), 5, {"ac_power_kw": value})])
    assert decode(encoded.mono_start, encoded.payload)[0].values == {"ac_power_kw": None}


@st.composite
def counter_samples(draw: st.DrawFn) -> list[Sample]:
    """A counter with resets, a gauge and now and then silence, at ten-second steps."""
    total = draw(st.floats(0, 1e6))
    made = []
    for index in range(draw(st.integers(1, 120))):
        step = draw(st.sampled_from([0.0, 0.1, 0.5, 2.0, -1.0]))
        total = round(max(0.0, total + step if step >= 0 else draw(st.floats(0, 10))), 3)
        if draw(st.integers(0, 20)) == 0:
            made.append(Sample(device_id(1), index * 10_000, {}, Quality.LINK_DOWN))
            continue
        power = draw(st.floats(-10, 10))
        made.append(Sample(device_id(1), index * 10_000, {"energy_total_kwh": total, "ac_power_kw": power}))
    return made


def steps_of(group: list[Sample]) -> tuple[float, float, float | None, float | None]:
    """Sum of the rises, sum of the falls, first and last value of the counter."""
    counts = [
        float(value) for sample in group if isinstance(value := sample.values.get("energy_total_kwh"), (int, float))
    ]
    steps = [after - before for before, after in itertools.pairwise(counts)]
    rise = sum(step for step in steps if step > 0)
    fall = sum(step for step in steps if step < 0)
    return round(rise, 6), round(fall, 6), counts[0] if counts else None, counts[-1] if counts else None


@given(counter_samples(), st.sampled_from([60_000, 900_000, 3_600_000]), st.integers(0, 10**12))
def test_thinning_keeps_the_energy_to_the_last_digit(group: list[Sample], bucket_ms: int, offset_ms: int) -> None:
    thinned = thin(group, bucket_ms=bucket_ms, offset_ms=offset_ms)
    assert steps_of(thinned) == pytest.approx(steps_of(group), abs=1e-6)


@given(counter_samples(), st.sampled_from([60_000, 900_000]))
def test_thinning_twice_is_thinning_once(group: list[Sample], bucket_ms: int) -> None:
    once = thin(group, bucket_ms=bucket_ms)
    assert thin(once, bucket_ms=bucket_ms) == once
    assert len(once) <= len(group)
    assert {sample.mono_ms for sample in once} <= {sample.mono_ms for sample in group}


def test_a_minute_becomes_its_first_and_last_reading_with_the_mean_power() -> None:
    minute = [
        Sample(device_id(1), at * 1000, {"ac_power_kw": float(at), "energy_total_kwh": 7.0 + at})
        for at in range(0, 60, 10)
    ]
    first, last = thin(minute, bucket_ms=60_000)
    assert first.values == {"energy_total_kwh": 7.0}
    assert last.values == {"energy_total_kwh": 57.0, "ac_power_kw": 25.0}
    assert first.quality == last.quality == Quality.THINNED


def test_devices_and_buckets_are_kept_apart() -> None:
    group = [Sample(device_id(number), at * 20_000, {"ac_power_kw": 1.0}) for at in range(6) for number in (1, 2)]
    kept = thin(group, bucket_ms=60_000)
    by_device: dict[UUID, list[int]] = {}
    for sample in kept:
        by_device.setdefault(sample.device_id, []).append(sample.mono_ms // 1000)
    assert by_device == {device_id(1): [0, 40, 60, 100], device_id(2): [0, 40, 60, 100]}


def test_of_a_silent_minute_one_silence_remains() -> None:
    group = [Sample(device_id(1), at * 1000, {}, Quality.LINK_DOWN) for at in range(10)]
    assert thin(group, bucket_ms=60_000) == group[:1]
