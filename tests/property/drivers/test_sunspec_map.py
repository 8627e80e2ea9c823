"""Whatever SunSpec models say, the maps give values of the catalogue; and the rules in them hold for every number."""

import math
from collections.abc import Callable
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.drivers.sunspec_battery import battery_values
from edge_agent.drivers.sunspec_map import inverter_values, meter_values
from edge_agent.drivers.sunspec_models import DecodedModel, decode_model, definition_of, known_ids
from edge_agent.drivers.sunspec_points import Models, codes, ratio, total
from edge_agent.drivers.sunspec_weather import weather_values
from shared.enums import DeviceType, Quality
from shared.metrics import MetricKind, metric_of
from shared.readings import Value
from tests.sunspec_image import model_words

IDS = sorted(known_ids())
WORDS = st.one_of(st.sampled_from([0, 1, 2, 3, 0x7FFF, 0x8000, 0xFFFF]), st.integers(0, 0xFFFF))
NUMBERS = st.integers(-32_000, 32_000).map(Decimal)

MAPS: dict[DeviceType, Callable[[Models], tuple[dict[str, Value], Quality]]] = {
    DeviceType.INVERTER: inverter_values,
    DeviceType.METER: lambda models: meter_values(models, invert_sign=False),
    DeviceType.BATTERY: battery_values,
    DeviceType.WEATHER_STATION: weather_values,
}


@st.composite
def some_models(draw: st.DrawFn) -> dict[int, list[DecodedModel]]:
    """A few models with anything in them, some of them twice."""
    models: dict[int, list[DecodedModel]] = {}
    for number in draw(st.lists(st.sampled_from(IDS), max_size=8)):
        definition = definition_of(number)
        size = definition.whole_words or definition.group.words + draw(st.integers(0, 60))
        chunk = draw(st.lists(WORDS, min_size=1, max_size=40))
        words = (chunk * (size // len(chunk) + 1))[:size]
        models.setdefault(number, []).append(decode_model(definition, words))
    return models


@given(models=some_models())
def test_only_the_catalogues_metrics_come_out(models: dict[int, list[DecodedModel]]) -> None:
    for device_type, values_of in MAPS.items():
        values, quality = values_of(models)
        assert quality in (Quality.GOOD, Quality.DERIVED)
        for key, value in values.items():
            metric = metric_of(key)
            assert device_type in metric.device_types, f"{key} for a {device_type.value}"
            if isinstance(value, float):
                assert math.isfinite(value)
            else:
                assert value is None or metric.kind is MetricKind.STATE, f"{key} = {value!r}"


@given(models=some_models())
def test_an_inverted_meter_differs_in_its_powers_only(models: dict[int, list[DecodedModel]]) -> None:
    straight, _ = meter_values(models, invert_sign=False)
    inverted, _ = meter_values(models, invert_sign=True)
    assert straight.keys() == inverted.keys()
    for key, value in straight.items():
        turned = key.partition(".")[0] == "grid_power_kw" and isinstance(value, float)
        assert inverted[key] == (-value if turned and isinstance(value, float) else value)


@given(power=NUMBERS, current=NUMBERS, status=st.sampled_from([None, *range(8)]))
def test_a_battery_that_says_its_direction_is_believed(power: Decimal, current: Decimal, status: int | None) -> None:
    said = None if status is None else Decimal(status)
    words = model_words(802, {"W": power, "A": current, "ChaSt": said, "State": Decimal(3)})
    values, _ = battery_values({802: [decode_model(definition_of(802), words)]})
    for key, sent in (("battery_power_kw", power / 1000), ("battery_current_a", current)):
        value = values[key]
        assert isinstance(value, float)
        assert abs(value) == float(abs(sent)), "the size is never changed"
        expected = abs(sent) if status == 3 else -abs(sent) if status == 4 else sent
        assert value == float(expected)


@given(
    powers=st.lists(st.one_of(st.none(), st.integers(0, 60_000).map(Decimal)), min_size=1, max_size=30),
    own=st.booleans(),
)
def test_the_pv_total_is_whole_or_none(powers: list[Decimal | None], own: bool) -> None:
    inputs = model_words(160, {"N": Decimal(len(powers))}, modules=[{"DCW": power} for power in powers])
    main = model_words(103, {"DCW": Decimal(777) if own else None})
    models = {103: [decode_model(definition_of(103), main)], 160: [decode_model(definition_of(160), inputs)]}
    values, quality = inverter_values(models)
    known = [power for power in powers if power is not None]
    is_whole = len(known) == len(powers)
    assert values["dc_power_kw"] == (0.777 if own else float(sum(known) / 1000) if is_whole else None)
    assert quality == (Quality.DERIVED if is_whole and not own else Quality.GOOD)
    assert len([key for key in values if key.startswith("dc_power_kw.pv")]) == min(len(powers), 24)


@given(bits=st.sets(st.integers(0, 30)), other=st.one_of(st.none(), st.just(Decimal(0)), st.just(Decimal(1 << 31))))
def test_codes_name_the_bits(bits: set[int], other: Decimal | None) -> None:
    field = Decimal(sum(1 << bit for bit in bits))
    assert codes({"evt1": field, "evt2": other}) == " ".join(f"sunspec:evt1.{bit}" for bit in sorted(bits))
    assert codes({"evt2": other}) == ("" if other == 0 else None)


@given(points=st.lists(st.one_of(st.none(), NUMBERS)))
def test_a_sum_is_whole_or_none(points: list[Decimal | None]) -> None:
    known = [point for point in points if point is not None]
    assert total(points) == (sum(known) if points and len(known) == len(points) else None)


@given(percent=st.integers(2, 100), sign=st.sampled_from([1, -1]))
def test_a_power_factor_means_the_same_as_percent_and_as_ratio(percent: int, sign: int) -> None:
    assert ratio(Decimal(sign * percent)) == ratio(Decimal(sign * percent) / 100) == sign * percent / 100
    assert ratio(None) is None
