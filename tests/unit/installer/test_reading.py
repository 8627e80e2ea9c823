"""What a report makes of several device types behind one address."""

from typing import Any

import pytest

from edge_agent.drivers.base import DriverError
from edge_agent.drivers.modbus import RefusedAddressError
from edge_agent.installer.reading import DeviceReport, Part, flags
from edge_agent.installer.recording import ReadLog, RegisterRead
from edge_agent.profiles.load import ProfileLibrary
from edge_agent.profiles.model import RegisterFunction
from shared.enums import DeviceType, Quality
from tests.modbus_server import FakeBus

HOLDING, INPUT = RegisterFunction.HOLDING, RegisterFunction.INPUT


def report(*parts: Part, registers: tuple[RegisterRead, ...] = (), profile: str = "deye_1p_hybrid") -> DeviceReport:
    return DeviceReport(
        profile=profile,
        definition=ProfileLibrary().modbus(profile),
        identity={},
        parts=parts,
        registers=registers,
        is_counted=True,
        seconds=0.12345,
    )


def entry(document: dict[str, Any], metric: str) -> dict[str, Any]:
    (found,) = [each for each in document["values"] if each["metric"] == metric]
    return dict(found)


def test_a_value_that_one_part_lacks_is_taken_from_the_next() -> None:
    document = report(
        Part(DeviceType.INVERTER, {"grid_frequency_hz": None}),
        Part(DeviceType.METER, {"grid_frequency_hz": 50.0}),
    ).to_json()
    found = entry(document, "grid_frequency_hz")
    assert (found["value"], found["device_type"], found["quality"]) == (50.0, "meter", "good")


def test_the_first_part_that_knows_a_value_gives_it_and_others_are_kept_beside() -> None:
    document = report(
        Part(DeviceType.INVERTER, {"operating_state": "producing", "grid_frequency_hz": 50.0}),
        Part(DeviceType.BATTERY, {"operating_state": "standby"}),
        Part(DeviceType.METER, {"grid_frequency_hz": 50.0}),
    ).to_json()
    assert entry(document, "operating_state")["also"] == {"battery": "standby"}
    assert "also" not in entry(document, "grid_frequency_hz")


def test_what_nobody_knows_is_null() -> None:
    document = report(
        Part(DeviceType.INVERTER, {"grid_frequency_hz": None}), Part(DeviceType.METER, {"grid_frequency_hz": None})
    ).to_json()
    found = entry(document, "grid_frequency_hz")
    assert (found["value"], found["device_type"], found["quality"]) == (None, "inverter", "not_available")


@pytest.mark.parametrize(
    ("values", "metric", "quality"),
    [
        ({"grid_frequency_hz": 71.0}, "grid_frequency_hz", "out_of_range"),
        ({"ac_power_kw": 30.0, "rated_power_kw": 10.0}, "ac_power_kw", "out_of_range"),
        ({"rated_power_kw": 90.0}, "rated_power_kw", "out_of_range"),
        ({"ac_power_kw": 3.0, "rated_power_kw": 10.0}, "ac_power_kw", "good"),
        ({"dc_power_kw": 3.0}, "dc_power_kw", "derived"),
        ({"operating_state": "producing"}, "operating_state", "good"),
    ],
)
def test_each_value_says_how_far_it_is_to_be_trusted(values: dict[str, Any], metric: str, quality: str) -> None:
    assert entry(report(Part(DeviceType.INVERTER, values)).to_json(), metric)["quality"] == quality


def test_channels_stand_in_a_field_of_their_own() -> None:
    (found,) = report(Part(DeviceType.INVERTER, {"dc_voltage_v.pv2": 300.0})).to_json()["values"]
    assert (found["metric"], found["channel"], found["unit"]) == ("dc_voltage_v", "pv2", "V")


def test_trouble_and_flags_of_a_part_are_told() -> None:
    document = report(
        Part(DeviceType.INVERTER, {"ac_power_kw": 1.0}, Quality.PARTIAL | Quality.DERIVED),
        Part(DeviceType.BATTERY, {}, trouble="silent"),
    ).to_json()
    assert document["devices"] == [
        {"device_type": "inverter", "quality": ["partial", "derived"], "trouble": None},
        {"device_type": "battery", "quality": [], "trouble": "silent"},
    ]
    assert flags(Quality.GOOD) == []
    assert document["seconds"] == 0.123


def test_requests_are_shown_with_the_rows_in_them_only_when_asked_for() -> None:
    reads = (
        RegisterRead(1, HOLDING, 79, 1, words=(5013,)),
        RegisterRead(1, INPUT, 79, 1, trouble="no", refused=True),
    )
    found = report(Part(DeviceType.INVERTER, {"grid_frequency_hz": 50.13}), registers=reads)
    assert "registers" not in found.to_json()
    document = found.to_json(raw=True)
    assert (document["requests"], document["exceptions"]) == (2, 1)
    first, second = document["registers"]
    assert (first["words"], first["rows"], first["trouble"]) == ([5013], ["grid_frequency_hz"], None)
    assert (second["words"], second["rows"], second["trouble"]) == (None, [], "no")


async def test_a_record_of_what_was_asked() -> None:
    log = ReadLog()
    bus = log.tap(FakeBus({5: 50, 6: 60}))
    assert await bus.read(1, HOLDING, address=5, count=2) == [50, 60]
    with pytest.raises(RefusedAddressError):
        await bus.read(1, HOLDING, address=9, count=1)
    silent = log.tap(FakeBus({}, trouble=DriverError("silent", retry=True, kind="timeout")))
    with pytest.raises(DriverError, match="silent"):
        await silent.read(2, INPUT, address=0, count=1)
    assert (log.requests, log.exceptions) == (3, 1)
    assert log.words_at(1, HOLDING, addresses=(6, 5)) == (60, 50)
    assert log.words_at(1, HOLDING, addresses=(6, 7)) is None
    assert log.words_at(1, INPUT, addresses=(5,)) is None
    assert log.words_at(2, HOLDING, addresses=(5,)) is None


async def test_only_a_unit_that_has_answered_is_asked_twice() -> None:
    log, device = ReadLog(), FakeBus({5: 50})
    bus = log.tap(device)
    device.trouble = DriverError("silent", retry=True, kind="timeout")
    with pytest.raises(DriverError, match="silent"):
        await bus.read(1, HOLDING, address=5, count=1)
    assert len(device.reads) == 1
    device.trouble = None
    await bus.read(1, HOLDING, address=5, count=1)
    device.trouble = DriverError("silent", retry=True, kind="timeout")
    with pytest.raises(DriverError, match="silent"):
        await bus.read(1, HOLDING, address=5, count=1)
    assert len(device.reads) == log.requests == 4
    device.trouble = DriverError("gone", retry=True, kind="refused")
    with pytest.raises(DriverError, match="gone"):
        await bus.read(1, HOLDING, address=5, count=1)
    assert len(device.reads) == 5
