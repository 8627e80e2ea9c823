"""Whatever a device answers, a profile makes numbers, texts and unknowns of it: no crash, no infinity, no state of its own invention."""

import math
import random
import struct
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.clock import SystemClock
from edge_agent.drivers.modbus_profile import ProfileDriver
from edge_agent.profiles.load import ProfileLibrary
from edge_agent.profiles.model import IdentityCheck, Profile, RegisterFunction, RegisterType
from shared.enums import DeviceType, OperatingState
from shared.metrics import MetricKind, metric_of
from tests.modbus_server import FakeBus

LIBRARY = ProfileLibrary()
PROFILES = {name: LIBRARY.modbus(name) for name in LIBRARY.modbus_names()}
DEVICES = [(name, device_type) for name, profile in PROFILES.items() for device_type in profile.device_types]


def words_of(check: IdentityCheck, chance: random.Random) -> tuple[int, ...]:
    """What the platform that a profile asks for would answer."""
    if check.type is not RegisterType.STRING:
        return (chance.choice(check.any_of),)
    text = check.starts_with[0].encode().ljust(2 * check.count, b"\0")
    return struct.unpack(f">{check.count}H", text)


class AnyWords(dict[int, int]):
    """A register table that makes up each word when it is first asked for: small ones as often as big ones.

    Args:
        chance: gives the words.
        telling: for registers that rows ask whether they apply, words that one of the rows waits for.
    """

    def __init__(self, chance: random.Random, telling: Mapping[int, Sequence[int]]) -> None:
        super().__init__()
        self._chance = chance
        self._telling = telling

    def __missing__(self, address: int) -> int:
        word = self._chance.choice(
            (*self._telling.get(address, ()), self._chance.getrandbits(self._chance.randint(1, 16)))
        )
        self[address] = word
        return word


def words_that_tell(profile: Profile, function: RegisterFunction) -> dict[int, list[int]]:
    """For each register that rows look at, words with which one of them applies."""
    found: dict[int, list[int]] = {}
    for condition in (each for row in profile.rows for each in row.when if each.function is function):
        bounds = (each for each in (condition.at_least, condition.at_most) if each is not None)
        found.setdefault(condition.address, []).extend((*condition.any_of, *bounds))
    return found


def any_bus(profile: Profile, seed: int) -> FakeBus:
    chance = random.Random(seed)  # noqa: S311 - no secret
    tables = {function: AnyWords(chance, words_that_tell(profile, function)) for function in RegisterFunction}
    for check in profile.identity:
        tables[check.function].update(enumerate(words_of(check, chance), start=check.address))
    return FakeBus(tables[RegisterFunction.HOLDING], tables[RegisterFunction.INPUT])


@pytest.mark.parametrize(("name", "device_type"), DEVICES)
@settings(max_examples=25)  # of each of seventy devices
@given(seed=st.integers(0, 2**32))
async def test_any_words_are_survived(name: str, device_type: DeviceType, seed: int) -> None:
    profile = PROFILES[name]
    driver = ProfileDriver(
        any_bus(profile, seed), 1, profile=profile, device_type=device_type, clock=SystemClock(), rated_power_kw=10
    )
    values = (await driver.read()).values
    assert values
    for key, value in values.items():
        metric = metric_of(key)
        if metric.name == "operating_state":
            assert value is None or value in set(OperatingState)
        elif metric.kind is MetricKind.STATE:
            assert value is None or isinstance(value, str | float)
        else:
            assert value is None or (isinstance(value, float) and math.isfinite(value))


@pytest.mark.parametrize(("name", "device_type"), DEVICES)
async def test_every_metric_of_a_profile_can_be_read(name: str, device_type: DeviceType) -> None:
    """Over many images each metric gives a value at least once: no row is hidden behind conditions that never hold."""
    profile = PROFILES[name]
    wanted = {row.metric for row in profile.rows_for(device_type) if row.metric}
    wanted |= {derived.metric for derived in profile.derived_for(device_type)}
    seen: set[str] = set()
    for seed in range(100):
        bus = any_bus(profile, seed)
        driver = ProfileDriver(bus, 1, profile=profile, device_type=device_type, clock=SystemClock())
        seen |= {key for key, value in (await driver.read()).values.items() if value is not None}
        if wanted <= seen:
            return
    assert wanted - seen == set()
