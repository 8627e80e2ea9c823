"""Numbers, ages, sizes and moments as they are printed."""

from dataclasses import replace
from datetime import timedelta

import pytest

from edge_agent.web.present import DASH, age_text, bytes_text, device_cards, moment_text, number, value_line
from edge_agent.web.text import Language
from tests.edge_view import NOON, SimulatedView, snapshot_of


@pytest.mark.parametrize(
    ("value", "decimals", "shown"),
    [
        (None, 2, DASH),
        (0.0, 2, "0.00"),
        (-0.001, 2, "0.00"),
        (-1.234, 2, "−1.23"),
        (12345.678, 1, "12,345.7"),
        (99.6, 0, "100"),
    ],
)
def test_numbers(value: float | None, decimals: int, shown: str) -> None:
    assert number(value, decimals=decimals) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(-3, "0 s"), (4.9, "4 s"), (119, "119 s"), (120, "2 min"), (7199, "119 min"), (7200, "2 h"), (172_800, "2 days")],
)
def test_ages(seconds: float, shown: str) -> None:
    assert age_text(Language.ENGLISH, seconds) == shown


@pytest.mark.parametrize(
    ("size", "shown"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (3_456_789, "3.5 MB"), (22_400_000_000, "22.4 GB")],
)
def test_sizes(size: int, shown: str) -> None:
    assert bytes_text(size) == shown


def test_moments_are_local_and_dated_when_not_of_today() -> None:
    snapshot = snapshot_of(NOON)
    assert moment_text(NOON, snapshot=snapshot) == "12:15"
    assert moment_text(NOON - timedelta(hours=13), snapshot=snapshot) == "2026-07-14 23:15"


def test_a_value_has_its_label_channel_number_and_unit() -> None:
    line = value_line(Language.ENGLISH, "ac_voltage_v.l1", value=231.46)
    assert (line.label, line.number, line.unit) == ("Voltage L1", "231.5", "V")
    assert value_line(Language.URDU, "battery_soc_percent", value=15.0).unit == "%"


def test_a_missing_value_has_no_unit_either() -> None:
    line = value_line(Language.ENGLISH, "ac_power_kw", value=None)
    assert (line.number, line.unit) == (DASH, "")


def test_a_state_is_a_word_of_the_language_and_a_code_is_not() -> None:
    assert value_line(Language.ENGLISH, "operating_state", value="sleeping").number == "asleep"
    assert value_line(Language.ENGLISH, "fault_codes", value="F35").number == "F35"


def test_a_metric_that_the_catalogue_does_not_know_is_shown_as_it_is() -> None:
    line = value_line(Language.ENGLISH, "tank_level", value=0.5)
    assert (line.label, line.number) == ("tank_level", "0.5")


def test_a_state_that_this_version_does_not_know_is_shown_as_it_is() -> None:
    device = replace(SimulatedView(NOON).snapshot_now.devices[0], values={"operating_state": "dreaming"})
    snapshot = replace(snapshot_of(NOON), devices=(device,))
    (card,) = device_cards(snapshot, language=Language.ENGLISH)
    assert card.status == "dreaming"
    assert card.values[0].number == "dreaming"


def test_cards_list_values_in_the_catalogues_order_with_the_main_ones_first() -> None:
    card = device_cards(snapshot_of(NOON), language=Language.ENGLISH)[0]
    assert [line.label for line in card.values] == ["AC power", "Voltage L1", "Energy, lifetime", "State"]
    assert card.summary[0].label == "AC power"
    assert (card.mood, card.status, card.age) == ("good", "producing", "4 s ago")


def test_a_fault_is_told_from_a_good_state() -> None:
    device = replace(SimulatedView(NOON).snapshot_now.devices[0], values={"operating_state": "fault"})
    (card,) = device_cards(replace(snapshot_of(NOON), devices=(device,)), language=Language.ENGLISH)
    assert (card.mood, card.status) == ("bad", "fault")
