"""A device read once, as an installer sees it: every value with its unit, and how far it can be trusted."""

import asyncio
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from edge_agent.drivers.base import DeviceAnswer, Driver, DriverError
from edge_agent.drivers.factory import SUNSPEC
from edge_agent.drivers.sunspec import DEVICE_TYPES, SunSpecDriver
from edge_agent.installer.detect import identity_words
from edge_agent.installer.recording import RegisterRead
from edge_agent.installer.session import Session
from edge_agent.profiles.model import Profile
from shared.enums import DeviceType, ProtocolType, Quality
from shared.metrics import metric_of
from shared.readings import Value

NOT_AVAILABLE = "not_available"
OUT_OF_RANGE = "out_of_range"
DERIVED = "derived"
GOOD = "good"

_SETTLE_S = 1.0
_MAX_SETTLES = 5
_PUSHED = frozenset({ProtocolType.MQTT})
_ORDER = (DeviceType.INVERTER, DeviceType.BATTERY, DeviceType.METER, DeviceType.WEATHER_STATION, DeviceType.SENSOR)


@dataclass(frozen=True, slots=True)
class Part:
    """One device type of what answers at an address.

    Attributes:
        trouble: why it gave no values; "" where it did.
    """

    device_type: DeviceType
    values: Mapping[str, Value]
    quality: Quality = Quality.GOOD
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class DeviceReport:
    """What was read.

    Attributes:
        identity: what the device says about itself.
        parts: by device type; at least one has values.
        registers: every request, in order.
        is_counted: whether requests are register requests that were counted.
        seconds: real time.
    """

    profile: str
    definition: Profile | None
    identity: Mapping[str, Any]
    parts: tuple[Part, ...]
    registers: tuple[RegisterRead, ...]
    is_counted: bool
    seconds: float

    @property
    def values(self) -> dict[str, Value]:
        """Values of all parts by key; where several parts have one, that of the first that knows it."""
        return {key: value for key, (value, _) in self._chosen().items()}

    def to_json(self, *, raw: bool = False) -> dict[str, Any]:
        """The document that `device read --json` prints."""
        chosen = self._chosen()
        document: dict[str, Any] = {
            "profile": self.profile,
            "identity": dict(self.identity),
            "values": [self._entry(key, value, owner) for key, (value, owner) in chosen.items()],
            "devices": [
                {"device_type": part.device_type.value, "quality": flags(part.quality), "trouble": part.trouble or None}
                for part in self.parts
            ],
            "requests": len(self.registers) if self.is_counted else None,
            "exceptions": sum(read.refused for read in self.registers) if self.is_counted else None,
            "seconds": round(self.seconds, 3),
        }
        if raw:
            document["registers"] = [self._register(read) for read in self.registers]
        return document

    def _chosen(self) -> dict[str, tuple[Value, DeviceType]]:
        chosen: dict[str, tuple[Value, DeviceType]] = {}
        for part in self.parts:
            for key, value in part.values.items():
                if chosen.get(key, (None, None))[0] is None:
                    chosen[key] = (
                        value,
                        part.device_type if value is not None or key not in chosen else chosen[key][1],
                    )
        return chosen

    def _entry(self, key: str, value: Value, owner: DeviceType) -> dict[str, Any]:
        name, _, channel = key.partition(".")
        entry: dict[str, Any] = {
            "metric": name,
            "channel": channel or None,
            "value": value,
            "unit": metric_of(key).unit,
            "quality": self._quality(key, value, owner),
            "device_type": owner.value,
        }
        others = {
            part.device_type.value: part.values[key]
            for part in self.parts
            if part.values.get(key) not in (None, value) and part.device_type is not owner
        }
        return entry | ({"also": others} if others else {})

    def _quality(self, key: str, value: Value, owner: DeviceType) -> str:
        if value is None:
            return NOT_AVAILABLE
        if isinstance(value, float) and not self._is_sane(key, value, owner):
            return OUT_OF_RANGE
        if self.definition is not None and key in {each.metric for each in self.definition.derived_for(owner)}:
            return DERIVED
        return GOOD

    def _is_sane(self, key: str, value: float, owner: DeviceType) -> bool:
        rated = next((part.values.get("rated_power_kw") for part in self.parts), None)
        if not metric_of(key).is_sane(value, rated_kw=rated if isinstance(rated, float) and rated > 0 else None):
            return False
        if self.definition is None:
            return True
        ranges = [row.range for row in self.definition.rows_for(owner) if row.metric == key and row.range]
        return not ranges or any(low <= value <= high for low, high in ranges)

    def _register(self, read: RegisterRead) -> dict[str, Any]:
        return {
            "unit": read.unit,
            "function": read.function.value,
            "address": read.address,
            "count": read.count,
            "words": None if read.words is None else list(read.words),
            "trouble": read.trouble or None,
            "rows": sorted(set(self._rows_in(read))),
        }

    def _rows_in(self, read: RegisterRead) -> Iterator[str]:
        for row in self.definition.rows if self.definition else ():
            if row.function is read.function and read.address <= row.first < read.address + read.count:
                yield row.key


def flags(quality: Quality) -> list[str]:
    """The names of what is special about a reading; empty for a good one."""
    return [flag.name.lower() for flag in Quality if flag in quality and flag.name]


async def read_device(session: Session, profile: str, *, device_types: Iterable[DeviceType]) -> DeviceReport:
    """Read each device type once.

    Args:
        session: before the device.
        profile: name of a profile, or "sunspec".
        device_types: see `known_types`.

    Raises:
        DriverError: if none of them answers; the first one's reason.
    """
    started = time.monotonic()
    parts: list[Part] = []
    first: DriverError | None = None
    identity: dict[str, Any] = {}
    for device_type in sorted(device_types, key=_ORDER.index):
        driver = session.driver(profile, device_type)
        try:
            answer = await _settled(driver, is_pushed=session.address.protocol in _PUSHED)
        except DriverError as error:
            first = first or error
            if error.kind in {"refused", "timeout", "config"} and not parts:
                raise
            if error.kind != "identity":
                parts.append(Part(device_type, {}, trouble=str(error)))
        else:
            parts.append(Part(device_type, answer.values, answer.quality))
            identity |= _identity_of(driver)
        finally:
            await driver.close()
    if first is not None and not any(part.values for part in parts):
        raise first
    definition = _definition(session, profile)
    if definition is not None:
        identity |= {"title": definition.title, "registers": identity_words(definition, session)}
    return DeviceReport(
        profile=profile,
        definition=definition,
        identity=identity,
        parts=tuple(parts),
        registers=tuple(session.log.reads),
        is_counted=session.log.requests > 0,
        seconds=time.monotonic() - started,
    )


def known_types(session: Session, profile: str) -> tuple[DeviceType, ...]:
    """Device types that a profile has values for, under the session's protocol.

    Raises:
        ConfigError: if there is no such profile, naming those that there are.
    """
    if session.address.has_units:
        return DEVICE_TYPES if profile == SUNSPEC else session.library.modbus(profile).device_types
    if session.address.protocol is ProtocolType.MQTT:
        return session.library.mqtt(profile).read_for
    if session.address.protocol is ProtocolType.HTTP:
        return session.library.http(profile).read_for
    return (DeviceType.INVERTER, DeviceType.BATTERY)


def _definition(session: Session, profile: str) -> Profile | None:
    return session.library.modbus(profile) if session.address.has_units and profile != SUNSPEC else None


async def _settled(driver: Driver, *, is_pushed: bool) -> DeviceAnswer:
    """One reading; of a device that pushes, once nothing new comes for a second."""
    answer = await driver.read()
    for _ in range(_MAX_SETTLES if is_pushed else 0):
        await asyncio.sleep(_SETTLE_S)
        newer = await driver.read()
        if len(newer.values) == len(answer.values):
            return newer
        answer = newer
    return answer


def _identity_of(driver: Driver) -> dict[str, Any]:
    if not isinstance(driver, SunSpecDriver) or driver.identity is None:
        return {}
    said = driver.identity
    return {
        "manufacturer": said.manufacturer,
        "model": said.model,
        "version": said.version,
        "serial_number": said.serial_number,
    }
