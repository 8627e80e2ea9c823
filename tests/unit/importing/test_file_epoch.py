"""A file is known by its content, its mapping and the devices that are meant."""

import dataclasses
from uuid import UUID

from cloud.ingest.importing.devices import Devices
from cloud.ingest.importing.mapping import parse_mapping
from cloud.ingest.importing.service import file_epoch
from tests.unit.importing.read import DEVICES, INVERTER, METER

FIXED = """
[time]
column = "t"
[device]
ref = "INV-1"
[[values]]
source = "P"
metric = "ac_power_kw"
"""
NAMED = FIXED.replace('ref = "INV-1"', 'column = "device"')
SOURCE = UUID(int=5)


def epoch(mapping: str = FIXED, *, content: bytes = b"1", devices: Devices = DEVICES, source: UUID = SOURCE) -> UUID:
    return file_epoch(source, content, parse_mapping(mapping, name="m"), devices)


def test_the_same_is_the_same_however_the_mapping_is_written() -> None:
    assert epoch() == epoch(
        "# a remark\n" + FIXED.replace('metric = "ac_power_kw"', 'scale = 1\nmetric = "power_output"')
    )


def test_anything_else_is_another_import() -> None:
    others = [
        epoch(content=b"2"),
        epoch(FIXED + "scale = 0.1\n"),
        epoch(FIXED + 'unit = "W"\n'),
        epoch(NAMED),
        epoch(source=UUID(int=6)),
    ]
    assert len({epoch(), *others}) == 6


def test_a_device_that_took_over_a_name_makes_another_import() -> None:
    replaced = Devices([dataclasses.replace(INVERTER, id=UUID(int=7)), METER])
    renamed = Devices([INVERTER, dataclasses.replace(METER, name="Grid")])
    assert epoch(devices=replaced) != epoch()
    assert epoch(devices=renamed) == epoch()  # it is not meant
    assert epoch(NAMED, devices=renamed) != epoch(NAMED)  # here the file's rows may mean it
