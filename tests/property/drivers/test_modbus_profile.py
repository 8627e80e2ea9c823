"""Whatever registers a device lacks and whatever the others hold, the driver reads what a reader of single rows would read."""

import asyncio
import math
from functools import cache
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.drivers.base import DriverError
from edge_agent.drivers.modbus_codec import compute, decode
from edge_agent.drivers.modbus_profile import ProfileDriver
from edge_agent.profiles.load import ProfileLibrary
from edge_agent.profiles.model import Profile, RegisterFunction, Row
from shared.enums import DeviceType
from shared.metrics import metric_of
from shared.readings import Value
from tests.modbus_server import FakeBus
from tests.unit.drivers.conftest import HandClock

LIBRARY = ProfileLibrary()
BY_NAME = {name: LIBRARY.modbus(name).model_copy(update={"identity": ()}) for name in LIBRARY.modbus_names()}

Place = tuple[RegisterFunction, int]
Image = dict[Place, int]


@cache
def places_of(name: str) -> tuple[Place, ...]:
    """Registers that a request for the profile's rows could touch."""
    found: set[Place] = set()
    for row in BY_NAME[name].rows:
        found |= {(row.function, each) for each in range(row.first, row.end)}
        found |= {(row.function, each) for each in range(row.end, row.end + BY_NAME[name].bus.max_gap)}
    return tuple(sorted(found))


def image_of(profile: Profile, *, seed: int, lacking: float) -> Image:
    """Random words in all registers that the profile could touch, except for a part that is lacking."""
    draw = Random(seed)  # noqa: S311  hypothesis draws the seed; drawing every word would be slow
    image: Image = {place: draw.choice((0, 1, 0xFFFF, draw.getrandbits(16))) for place in places_of(profile.name)}
    for row in profile.rows:
        for condition in row.when:
            image[condition.place] = draw.choice((*condition.any_of, condition.at_least or 0, draw.getrandbits(16)))
        if row.sign_from is not None:
            image[row.sign_from.place] = draw.randrange(4)
    return {place: word for place, word in image.items() if draw.random() >= lacking}


def is_there(row: Row, rows: tuple[Row, ...], image: Image) -> bool:
    company = [each for each in rows if each.together and each.together == row.together] or [row]
    first, end = min(each.first for each in company), max(each.end for each in company)
    return all((row.function, address) in image for address in range(first, end))


def read_singly(profile: Profile, device_type: DeviceType, image: Image) -> dict[str, Value]:
    """The same readings by the plainest way: each row by itself, whenever all it needs is there."""
    rows = profile.rows_for(device_type)
    values: dict[str, Value] = {}
    for row in rows:
        known = [condition for condition in row.when if condition.place in image]
        if not all(condition.holds(image[condition.place]) for condition in known):
            continue
        signed = row.sign_from is None or row.sign_from.place in image
        planned = tuple(each for each in rows if each.poll is row.poll)
        decided = all(condition.place in image or condition.or_unknown for condition in row.when)
        if decided and signed and is_there(row, planned, image):
            words = tuple(image[row.function, address] for address in row.words)
            negative = row.sign_from is not None and row.sign_from.is_negative(image[row.sign_from.place])
            values[row.key] = decode(row, words, order=profile.order_of(row), is_negative=negative)
        else:
            values.setdefault(row.key, None)
    for derived in profile.derived_for(device_type):
        has_parts = any(term in values for term in derived.terms)
        if has_parts and not (derived.only_if_missing and values.get(derived.metric) is not None):
            values[derived.metric] = compute(derived, values)
    terms = {row.key for row in rows if row.term}
    return {key: value for key, value in values.items() if key not in terms}


async def read_twice(driver: ProfileDriver) -> tuple[dict[str, Value], dict[str, Value]] | None:
    try:
        return dict((await driver.read()).values), dict((await driver.read()).values)
    except DriverError:
        return None


@pytest.mark.parametrize("name", [name for name, each in BY_NAME.items() if not each.bus.blocks])
@settings(max_examples=20)
@given(seed=st.integers(0, 2**32), lacking=st.sampled_from([0.0, 0.02, 0.2]))
def test_the_driver_reads_what_is_there(name: str, seed: int, lacking: float) -> None:
    profile = BY_NAME[name]
    device_type = Random(seed).choice(profile.device_types)  # noqa: S311  as above
    image = image_of(profile, seed=seed, lacking=lacking)
    bus = FakeBus(
        {address: word for (function, address), word in image.items() if function is RegisterFunction.HOLDING},
        {address: word for (function, address), word in image.items() if function is RegisterFunction.INPUT},
    )
    driver = ProfileDriver(bus, 1, profile=profile, device_type=device_type, clock=HandClock())
    said = asyncio.run(read_twice(driver))
    expected = read_singly(profile, device_type, image)
    if said is None:
        assert all(value is None for value in expected.values())
        return
    first, second = said
    assert first == expected
    assert second.items() <= first.items(), "what was learnt changes no value"
    for key, value in first.items():
        assert metric_of(key)
        assert not isinstance(value, float) or math.isfinite(value)
    assert all(count <= profile.bus.max_registers for *_, count in bus.reads)
    assert not any(profile.bus.is_forbidden(address, address + count) for *_, address, count in bus.reads)
