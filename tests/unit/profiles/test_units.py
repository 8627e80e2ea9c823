"""Units: exact factors, shifted zeros, and what belongs to what."""

from decimal import Decimal

import pytest

from edge_agent.profiles.units import UnitError, catalogue_unit, conversion, conversion_factor
from shared.metrics import METRICS


@pytest.mark.parametrize(
    ("unit", "target", "number", "kept"),
    [
        ("W", "kW", 1234, 1.234),
        ("Mvar", "kvar", 2, 2000),
        ("MWh", "kWh", 1.5, 1500),
        ("Ws", "kWh", 3_600_000, 1),
        ("mV", "V", 3312, 3.312),
        ("mHz", "Hz", 50_010, 50.01),
        ("degF", "degC", 212, 100),
        ("degF", "degC", -40, -40),
        ("K", "degC", 298.15, 25),
        ("percent", "1", 95, 0.95),
        ("s", "ms", 2, 2000),
        ("ohm", "Mohm", 500_000, 0.5),
    ],
)
def test_a_number_is_converted(unit: str, target: str, number: float, kept: float) -> None:
    factor, shift = conversion(unit, target)
    assert float((Decimal(str(number)) + shift) * factor) == pytest.approx(kept, rel=1e-15)


def test_a_shifted_zero_is_no_mere_factor() -> None:
    with pytest.raises(UnitError, match="'degF' cannot become 'degC'; write one of: degC"):
        conversion_factor("degF", "degC")
    with pytest.raises(UnitError, match="'W' cannot become 'degC'; write one of: degC, degF, K"):
        conversion("W", "degC")


def test_every_unit_of_the_catalogue_is_its_own() -> None:
    for metric in METRICS.values():
        if metric.unit not in {"enum", "codes", "bool"}:
            assert conversion(metric.unit, metric.unit) == (1, 0)
            assert catalogue_unit(metric.unit) == metric.unit


@pytest.mark.parametrize(("unit", "target"), [("W", "kW"), ("degF", "degC"), ("percent", "percent"), ("Wmin", "kWh")])
def test_a_unit_has_its_place_in_the_catalogue(unit: str, target: str) -> None:
    assert catalogue_unit(unit) == target


def test_an_unknown_unit_lists_the_known() -> None:
    with pytest.raises(UnitError, match=r"unit 'bar' is not known; write one of: .*kWh.*"):
        catalogue_unit("bar")
