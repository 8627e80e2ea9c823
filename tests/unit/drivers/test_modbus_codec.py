"""Known answers of the register codec."""

from typing import Any

import pytest

from edge_agent.drivers.modbus_codec import (
    EncodingError,
    compute,
    decode,
    encode,
    is_in_range,
    shortest_float32,
)
from edge_agent.profiles.model import Derived, Row, WordOrder
from shared.readings import Value

HIGH, LOW = WordOrder.HIGH_FIRST, WordOrder.LOW_FIRST


def row(**fields: Any) -> Row:
    given: dict[str, Any] = {
        "metric": "energy_total_kwh",
        "address": 0,
        "type": "u16",
        "for": ["inverter"],
        "unit": "kWh",
    }
    return Row.model_validate({key: value for key, value in (given | fields).items() if value is not None})


@pytest.mark.parametrize(
    ("fields", "words", "order", "value"),
    [
        ({"scale": 0.1}, (1234,), HIGH, 123.4),
        ({"scale": 0.1, "type": "u32"}, (1, 64716), HIGH, 13025.2),
        ({"scale": 0.1, "type": "u32"}, (64716, 1), LOW, 13025.2),
        ({"scale": 0.1, "type": "u32", "address": None, "addresses": [78, 80]}, (9004, 2), LOW, 14007.6),
        ({"unit": "Wh", "type": "u64"}, (0, 0, 1, 1), HIGH, 65.537),
        ({"unit": "MWh", "scale": 0.001}, (7,), HIGH, 7.0),
        ({"type": "s16", "metric": "ac_power_kw", "unit": "W"}, (0xFF5C,), HIGH, -0.164),
        ({"type": "s32", "metric": "ac_power_kw", "unit": "W"}, (0xFFFF, 0xFF5C), HIGH, -0.164),
        ({"type": "s64", "metric": "ac_power_kw", "unit": "W"}, (0xFFFF,) * 3 + (0xFF5C,), HIGH, -0.164),
        ({"metric": "inverter_temperature_c", "unit": "degC", "scale": 0.1, "offset": -100}, (1323,), HIGH, 32.3),
        ({"sentinels": [0]}, (0,), HIGH, None),
        ({"sentinels": [0xFFFF, 0x7FFF]}, (0x7FFF,), HIGH, None),
        ({"sentinels": [0x8000], "type": "s16", "metric": "ac_power_kw", "unit": "W"}, (0x8000,), HIGH, None),
        ({"type": "f32", "metric": "ac_power_kw", "unit": "kW"}, (0x4366, 0x199A), HIGH, 230.1),
        ({"type": "f32", "metric": "ac_power_kw", "unit": "kW"}, (0x7FC0, 0), HIGH, None),
        ({"type": "f32", "metric": "ac_power_kw", "unit": "kW"}, (0x7F80, 0), HIGH, None),
        ({"metric": "power_factor", "unit": "percent", "type": "s16", "sign": -1}, (95,), HIGH, -0.95),
        ({"metric": "inverter_temperature_c", "unit": "degF"}, (212,), HIGH, 100.0),
        ({"metric": "inverter_temperature_c", "unit": "K", "scale": 0.1}, (2981,), HIGH, 24.95),
        ({"type": "u8_high"}, (0x1234,), HIGH, 18.0),
        ({"type": "u8_low"}, (0x1234,), HIGH, 52.0),
        ({"type": "u8_low", "sentinels": [0xFF]}, (0x12FF,), HIGH, None),
        ({"type": "acc32"}, (0, 0), HIGH, None),
        ({"type": "acc32"}, (1, 0), HIGH, 65536.0),
        ({"type": "acc64"}, (0, 0, 0, 0), HIGH, None),
        ({"zero_is_missing": True}, (0,), HIGH, None),
        ({"zero_is_missing": True}, (1,), HIGH, 1.0),
        ({"max_raw": 65000}, (65000,), HIGH, 65000.0),
        ({"max_raw": 65000}, (65001,), HIGH, None),
        ({"type": "s16", "max_raw": 0x7FFE}, (0x7FFF,), HIGH, None),
        ({"type": "s16", "max_raw": 0x7FFE}, (0xFFFE,), HIGH, -2.0),
        ({"type": "s32_or_s16", "metric": "ac_power_kw", "unit": "W"}, (0, 0xFF5C), HIGH, -0.164),
        ({"type": "s32_or_s16", "metric": "ac_power_kw", "unit": "W"}, (0xFF5C, 0), LOW, -0.164),
        ({"type": "s32_or_s16", "metric": "ac_power_kw", "unit": "W"}, (0xFFFF, 0xFF5C), HIGH, -0.164),
        ({"type": "s32_or_s16", "metric": "ac_power_kw", "unit": "W"}, (0xFFFF, 500), HIGH, 0.5),
        ({"type": "s32_or_s16", "metric": "ac_power_kw", "unit": "W"}, (0, 500), HIGH, 0.5),
        ({"type": "s32_or_s16", "metric": "ac_power_kw", "unit": "W"}, (1, 0x8000), HIGH, 98.304),
        ({"metric": None, "term": "charge_w", "unit": "W"}, (1500,), HIGH, 1.5),
    ],
)
def test_numbers(fields: dict[str, Any], words: tuple[int, ...], order: WordOrder, value: float | None) -> None:
    assert decode(row(**fields), words, order=order) == value


def test_the_sign_may_come_from_elsewhere() -> None:
    magnitude = row(metric="grid_power_kw", unit="W", sign_from={"address": 9, "bit": 0, "negative_when": 1})
    assert decode(magnitude, (500,), order=HIGH, is_negative=True) == -0.5
    assert decode(magnitude, (500,), order=HIGH, is_negative=False) == 0.5
    assert str(decode(magnitude, (0,), order=HIGH, is_negative=True)) == "0.0"


@pytest.mark.parametrize("word", [500, 0x10000 - 500])
def test_a_sign_from_elsewhere_outweighs_the_numbers_own(word: int) -> None:
    either = row(metric="grid_power_kw", unit="W", type="s16", sign_from={"address": 9, "bit": 0, "negative_when": 1})
    assert decode(either, (word,), order=HIGH, is_negative=True) == -0.5
    assert decode(either, (word,), order=HIGH, is_negative=False) == 0.5


def test_a_negated_zero_is_a_zero() -> None:
    zero = decode(row(metric="grid_power_kw", unit="W", type="s16", sign=-1), (0,), order=HIGH)
    assert str(zero) == "0.0"


STATES = {"metric": "operating_state", "unit": None, "states": {"0": "standby", "2": "producing"}}
FAULTS = {"metric": "fault_codes", "unit": None, "type": "bitfield", "count": 4, "code_prefix": "x:F", "first_code": 1}


@pytest.mark.parametrize(("word", "state"), [(0, "standby"), (2, "producing"), (9, "unknown")])
def test_states(word: int, state: str) -> None:
    assert decode(row(**STATES), (word,), order=HIGH) == state


@pytest.mark.parametrize(
    ("words", "codes"),
    [((0, 0, 0, 0), ""), ((1, 0, 0, 0), "x:F1"), ((0, 0, 0, 0x8000), "x:F64"), ((0, 2, 0, 1), "x:F18 x:F49")],
)
def test_fault_bits(words: tuple[int, ...], codes: str) -> None:
    assert decode(row(**FAULTS), words, order=LOW) == codes
    assert encode(row(**FAULTS), codes, order=LOW) == words


@pytest.mark.parametrize(("words", "codes"), [((0, 0), ""), ((0, 203), "x:203"), ((1, 0), "x:65536")])
def test_a_number_may_be_the_fault_code_itself(words: tuple[int, ...], codes: str) -> None:
    number = row(metric="fault_codes", unit=None, type="u32", code_prefix="x:", sentinels=[0xFFFFFFFF])
    assert decode(number, words, order=HIGH) == codes
    assert encode(number, codes, order=HIGH) == words
    assert decode(number, (0xFFFF, 0xFFFF), order=HIGH) is None


@pytest.mark.parametrize("fields", [{"type": "s16"}, {"metric": "vendor_state_code", "unit": "integer"}])
def test_only_an_unsigned_number_is_a_fault_code(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="an unsigned number that is a code"):
        row(**({"metric": "fault_codes", "unit": None, "type": "u16", "code_prefix": "x:"} | fields))


def test_text() -> None:
    text = row(metric="fault_codes", unit=None, type="string", count=3)
    assert decode(text, (0x4142, 0x4300, 0x4444), order=HIGH) == "ABC"
    assert decode(text, (0, 0, 0), order=HIGH) is None
    assert encode(text, "ABC", order=HIGH) == (0x4142, 0x4300, 0)
    assert encode(text, None, order=HIGH) == (0, 0, 0)


@pytest.mark.parametrize(
    ("fields", "value", "words"),
    [
        ({}, 65536.0, "does not fit into u16"),
        ({}, -1.0, "does not fit into u16"),
        ({}, None, "no word for 'not available'"),
        ({}, "much", "wants a number"),
        ({"type": "s16", "metric": "ac_power_kw", "unit": "kW"}, 32768.0, "does not fit into s16"),
        (STATES, "charging_only", "no code means 'charging_only'; known are producing, standby"),
        (FAULTS, "y:F1", "is no code like x:F1"),
        (FAULTS, "x:F0", "is no code like x:F1"),
        (FAULTS, "x:F65", "does not fit"),
    ],
)
def test_what_does_not_fit_is_refused(fields: dict[str, Any], value: Value, words: str) -> None:
    with pytest.raises(EncodingError, match=words):
        encode(row(**fields), value, order=HIGH)


def test_none_becomes_the_first_sentinel() -> None:
    assert encode(row(sentinels=[7, 8]), None, order=HIGH) == (7,)
    assert encode(row(zero_is_missing=True), None, order=HIGH) == (0,)


def test_bytes_are_encoded_in_their_half() -> None:
    assert encode(row(type="u8_high"), 18.0, order=HIGH) == (0x1200,)
    assert encode(row(type="u8_low"), 52.0, order=HIGH) == (0x34,)
    with pytest.raises(EncodingError, match="does not fit into u8_high"):
        encode(row(type="u8_high"), 256.0, order=HIGH)


def test_sane_range() -> None:
    narrow = row(range=[0, 10])
    assert is_in_range(narrow, 10.0)
    assert not is_in_range(narrow, 10.1)
    assert is_in_range(narrow, None)
    assert is_in_range(row(), 1e9)


def test_sane_range_by_the_rated_power() -> None:
    power = row(metric="ac_power_kw", unit="W", range_of_rated=[-0.1, 1.3])
    assert is_in_range(power, 6.5, rated_kw=5)
    assert not is_in_range(power, 6.6, rated_kw=5)
    assert not is_in_range(power, -0.6, rated_kw=5)
    assert is_in_range(power, 6.6), "without a rated power there is nothing to compare with"


def derived(**fields: Any) -> Derived:
    return Derived.model_validate({"metric": "dc_power_kw", "for": ["inverter"]} | fields)


@pytest.mark.parametrize(
    ("fields", "values", "result"),
    [
        ({"sum": ["a", "b"]}, {"a": 0.1, "b": 0.2}, 0.3),
        ({"sum": ["a", "b"]}, {"a": 0.1, "b": None}, None),
        ({"sum": ["a", "b"]}, {"a": 0.1, "b": "x"}, None),
        ({"sum": ["a", "b"]}, {"a": 0.1}, 0.1),  # b's rows do not apply to this device
        ({"sum": ["a", "b"]}, {}, None),
        ({"sum": ["a"], "minus": ["b"]}, {"a": 0.3, "b": 0.1}, 0.2),
        ({"minus": ["a"]}, {"a": 0.3}, -0.3),
        ({"product": ["a", "b"], "scale": 0.001}, {"a": 304.1, "b": 1.7}, 0.51697),
        ({"product": ["a", "b"]}, {"a": 304.1}, None),
        ({"product": ["a", "a"]}, {"a": 3.0}, 9.0),
        ({"sum": ["a"], "clip": "positive"}, {"a": -2.0}, 0.0),
        ({"sum": ["a"], "clip": "positive"}, {"a": 2.0}, 2.0),
        ({"sum": ["a"], "clip": "negative"}, {"a": -2.0}, -2.0),
        ({"sum": ["a"], "clip": "negative"}, {"a": 2.0}, 0.0),
        ({"sum": ["a"], "clip": "negative", "scale": -1}, {"a": -2.0}, 0.0),
        ({"minus": ["a"], "clip": "positive"}, {"a": -2.0}, 2.0),
    ],
)
def test_derived_values(fields: dict[str, Any], values: dict[str, Value], result: float | None) -> None:
    assert compute(derived(**fields), values) == result


def test_single_precision_is_shown_as_it_was_meant() -> None:
    assert str(shortest_float32(0x4366199A)) == "230.1"
    assert shortest_float32(0xFF800000) is None
    assert float(shortest_float32(0x7F7FFFFF) or 0) == pytest.approx(3.4028235e38)
    assert shortest_float32(0) == 0
