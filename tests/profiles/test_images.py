"""Every shipped profile reads a register image as the register document says, and nothing beside it is out of range.

An image says where it is from, what the registers hold, and which readings they must give; those were worked out by hand from the
register document, so that a wrong address, scale, sign or word order in the profile shows here. A reading of null is a metric without a
value: not available, or not read from this device at all.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from edge_agent.clock import SystemClock
from edge_agent.drivers.modbus_profile import ProfileDriver
from edge_agent.profiles.load import ProfileLibrary
from shared.enums import DeviceType, Quality
from shared.metrics import metric_of
from shared.readings import Value
from tests.modbus_server import FakeBus

FOLDER = Path(__file__).parent / "images"
LIBRARY = ProfileLibrary()
PATHS = sorted(FOLDER.glob("*.json"))
IMAGES = {path.stem: json.loads(path.read_text()) for path in PATHS}
FIELDS = {"source", "note", "rated_power_kw", "holding", "input", "readings"}


def registers(image: dict[str, Any], table: str) -> dict[int, int]:
    return {int(address): word for address, word in image.get(table, {}).items()}


def is_equal(value: Value, expected: Value) -> bool:
    if isinstance(value, float) and isinstance(expected, int | float):
        return abs(value - expected) <= 1e-9
    return value == expected and type(value) is type(expected)


def profile_of(image_name: str) -> str:
    return image_name.partition(".")[0]


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_is_well_formed(name: str) -> None:
    image = IMAGES[name]
    assert not set(image) - FIELDS
    assert image["source"].strip()
    assert profile_of(name) in LIBRARY.modbus_names(), "an image is named <profile>[.<variant>].json"
    words = [*registers(image, "holding").items(), *registers(image, "input").items()]
    assert words
    assert all(0 <= address <= 0xFFFF and 0 <= word <= 0xFFFF for address, word in words)
    assert any(values for values in image["readings"].values())


@pytest.mark.parametrize("image_name", IMAGES)
async def test_an_image_reads_as_the_document_says(image_name: str) -> None:
    image = IMAGES[image_name]
    profile = LIBRARY.modbus(profile_of(image_name))
    rated_kw = image.get("rated_power_kw")
    wrong: list[str] = []
    for name, readings in image["readings"].items():
        driver = ProfileDriver(
            FakeBus(registers(image, "holding"), registers(image, "input")),
            1,
            profile=profile,
            device_type=DeviceType(name),
            clock=SystemClock(),
            rated_power_kw=rated_kw,
        )
        answer = await driver.read()
        wrong += [
            f"{name}: {key} is {answer.values.get(key)!r}, expected {expected!r}"
            for key, expected in readings.items()
            if not is_equal(answer.values.get(key), expected)
        ]
        wrong += [
            f"{name}: {key} = {value!r} is no sane value"
            for key, value in answer.values.items()
            if isinstance(value, float) and not metric_of(key).is_sane(value, rated_kw=rated_kw)
        ]
        if answer.quality & Quality.OUT_OF_RANGE:
            wrong.append(f"{name}: a value is outside the range of its row")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", LIBRARY.modbus_names())
def test_each_shipped_profile_has_an_image_for_each_of_its_device_types(name: str) -> None:
    images = [image for image_name, image in IMAGES.items() if profile_of(image_name) == name]
    assert images, f"tests/profiles/images/{name}.json is missing"
    read = {device_type for image in images for device_type in image["readings"]}
    assert set(LIBRARY.modbus(name).device_types) <= read
