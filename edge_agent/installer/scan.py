"""Looks for devices: on a serial line by rate and unit, in a network by address and port."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from edge_agent.clock import SystemClock
from edge_agent.drivers.base import DriverError
from edge_agent.drivers.factory import SUNSPEC
from edge_agent.drivers.modbus import RefusedAddressError, RegisterBus
from edge_agent.drivers.modbus_codec import text_of
from edge_agent.installer.address import DeviceAddress, parse_address
from edge_agent.installer.detect import Match, matching_profiles, sound_profiles, sunspec_base
from edge_agent.installer.identification import ask_identity
from edge_agent.installer.probe import plausible_profiles
from edge_agent.installer.scan_plan import (
    PORTS,
    RATES,
    SOLARMAN_PORT,
    SerialStep,
    full_steps,
    hosts_of,
    likely_units,
    quick_steps,
)
from edge_agent.installer.session import Session
from edge_agent.profiles.load import ProfileLibrary
from edge_agent.profiles.model import RegisterFunction

CONNECTS_AT_ONCE = 64
ENDPOINTS_AT_ONCE = 8

_SUNSPEC = Match(SUNSPEC, 0, "SunSpec")
_COMMON_MODEL = 1
_COMMON_FIELDS = {
    "manufacturer": (2, 16),
    "model": (18, 16),
    "version": (42, 8),
    "serial_number": (50, 16),
}
"""First word and length of the texts of SunSpec's common model (model 1), its header included."""
_COMMON_WORDS = 66


@dataclass(frozen=True, slots=True)
class FoundDevice:
    """A unit that answers.

    Attributes:
        url: to read it again.
        profiles: that fit, the best first.
        identity: manufacturer, model, version and serial_number, as far as the device says them.
    """

    url: str
    unit: int | None
    profiles: tuple[Match, ...]
    identity: Mapping[str, str | None] = field(default_factory=dict)
    note: str = ""

    @property
    def profile(self) -> str | None:
        """The one profile that fits best; None where none or several do."""
        best = [match for match in self.profiles if match.checks == self.profiles[0].checks]
        return best[0].profile if len(best) == 1 else None

    def to_json(self) -> dict[str, Any]:
        """As `device scan --json` prints it."""
        return {
            "url": self.url,
            "unit": self.unit,
            "profile": self.profile,
            "profiles": [match.profile for match in self.profiles],
            "identity": dict(self.identity),
            "note": self.note or None,
        }


@dataclass
class Progress:
    """Told about a scan while it runs.

    Attributes:
        on_step: called with how much is done, of how much, and what is asked now.
        on_found: called with each device at once.
    """

    on_step: Callable[[int, int, str], None] = lambda done, of, what: None  # noqa: ARG005 - nobody watches
    on_found: Callable[[FoundDevice], None] = lambda device: None  # noqa: ARG005 - nobody watches
    done: int = 0
    of: int = 0

    def step(self, what: str) -> None:
        """One more is done."""
        self.done += 1
        self.on_step(self.done, max(self.of, self.done), what)


class Scanner:
    """Asks; never writes. A unit that is silent costs one time-out.

    Args:
        library: profiles to know devices by.
        timeout_s: for each answer.
        connect_timeout_s: for each TCP connection.
        ports: that are tried in a network.
        progress: told what is going on.
    """

    def __init__(
        self,
        library: ProfileLibrary,
        *,
        timeout_s: float = 0.5,
        connect_timeout_s: float = 1.0,
        ports: tuple[int, ...] = PORTS,
        progress: Progress | None = None,
    ) -> None:
        self._library = library
        self._timeout_s = timeout_s
        self._connect_timeout_s = connect_timeout_s
        self._ports = ports
        self._known = sound_profiles(library)
        self._identifiable = tuple(profile for profile in self._known if profile.identity)
        self.progress = progress or Progress()

    async def serial(
        self, port: str, *, rates: tuple[int, ...] = RATES, units: tuple[int, ...] = (), full: bool = False
    ) -> list[FoundDevice]:
        """Every unit of a serial line that answers.

        The likely units are asked with one rate after the other until one answers; the other units follow with that rate if `full`, and
        with every rate if none of the likely answered.

        Raises:
            DriverError: if the port cannot be opened.
        """
        likely = units or self._likely()
        found, heard = await self._serial_steps(port, tuple(quick_steps(likely, rates=rates)))
        if full or (not found and not units):
            more, _ = await self._serial_steps(port, tuple(full_steps(likely, heard=heard, rates=rates)))
            found += more
        return found

    async def network(self, cidr: str, *, units: tuple[int, ...] = (), force: bool = False) -> list[FoundDevice]:
        """Every likely unit behind an open Modbus port of a network, and every data logger.

        Raises:
            UsageError: if the network may not be scanned.
        """
        places = [(host, port) for host in hosts_of(cidr, force=force) for port in self._ports]
        open_places = await self.open_places(places)
        asked = units or self._likely()
        self.progress.of += len(open_places) * len(asked)
        gate = asyncio.Semaphore(ENDPOINTS_AT_ONCE)

        async def look(host: str, port: int) -> list[FoundDevice]:
            async with gate:
                return await self.endpoint(host, port, units=asked)

        groups = await asyncio.gather(*(look(host, port) for host, port in open_places))
        return [device for group in groups for device in group]

    async def open_places(self, places: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
        """Those hosts and ports that take a connection, in the order given."""
        self.progress.of += len(places)
        gate = asyncio.Semaphore(CONNECTS_AT_ONCE)

        async def knock(host: str, port: int) -> bool:
            async with gate:
                is_open = await self._is_open(host, port)
            self.progress.step(f"{host}:{port}")
            return is_open

        answers = await asyncio.gather(*(knock(host, port) for host, port in places))
        return [place for place, is_open in zip(places, answers, strict=True) if is_open]

    async def endpoint(self, host: str, port: int, *, units: tuple[int, ...]) -> list[FoundDevice]:
        """The units behind one open port; what is wrong there is an entry of its own."""
        place = f"[{host}]" if ":" in host else host
        if port == SOLARMAN_PORT:
            note = "the port of Solarman data loggers; read it with --logger-serial, the number on the logger's label"
            return [self._found(FoundDevice(f"v5://{place}:{port}", None, (), note=note))]
        url = f"tcp://{place}:{port}"
        found: list[FoundDevice] = []
        note = "the port is open, but no likely unit answers; try --unit"
        try:
            async for device in self.units(url, units):
                found.append(device)  # noqa: PERF401 - what was found before a failure is kept
        except DriverError as error:
            note = str(error)
        return found or [self._found(FoundDevice(url, None, (), note=note))]

    async def units(self, url: str, units: Iterable[int]) -> AsyncIterator[FoundDevice]:
        """The units of one endpoint that answer.

        Raises:
            DriverError: `refused` if the endpoint cannot be reached.
        """
        address = parse_address(f"{url}{'&' if '?' in url else '?'}timeout={self._timeout_s:g}")
        async with Session(address, clock=SystemClock(), library=self._library) as session:
            bus = session.bus()
            for unit in units:
                self.progress.step(f"{url} unit {unit}")
                device = await self._identify(bus, url, unit)
                if device is None:
                    continue
                await bus.close()  # a serial port, and many devices, have one user only
                yield self._found(await self._named(device, address.with_unit(unit), unit))

    async def _serial_steps(
        self, port: str, steps: tuple[SerialStep, ...]
    ) -> tuple[list[FoundDevice], list[SerialStep]]:
        """Go through settings until one is answered: all devices of a line share them."""
        self.progress.of += sum(len(step.units) for step in steps)
        was_open = False
        for step in steps:
            try:
                found = [device async for device in self.units(f"rtu://{quote(port)}?{step.query}", step.units)]
            except DriverError:
                if not was_open:
                    raise
                continue  # the adapter cannot be set so: nothing on this line speaks it
            was_open = True
            if found:
                return found, [step]
        return [], []

    async def _is_open(self, host: str, port: int) -> bool:
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                _, writer = await asyncio.open_connection(host, port)
        except (OSError, TimeoutError):
            return False
        writer.close()
        return True

    async def _identify(self, bus: RegisterBus, url: str, unit: int) -> FoundDevice | None:
        """What one unit is; None if it does not answer.

        Raises:
            DriverError: `refused` or `config` if the endpoint cannot be reached.
        """
        try:
            if not await _is_there(bus, unit):
                return None
            base = await sunspec_base(bus, unit)
            if base is not None:
                return FoundDevice(url, unit, (_SUNSPEC,), await _common_model(bus, unit, base=base))
            return FoundDevice(url, unit, await matching_profiles(bus, unit, profiles=self._identifiable))
        except DriverError as error:
            if error.kind in {"refused", "config"}:
                raise
            return FoundDevice(url, unit, (), note=f"answers, but not reliably: {error}")

    async def _named(self, device: FoundDevice, address: DeviceAddress, unit: int) -> FoundDevice:
        """What SunSpec and identity registers left open: who it says it is, and which profile's numbers can be true."""
        if not device.identity:
            device = replace(device, identity=await ask_identity(address, unit, timeout_s=self._timeout_s))
        if device.profiles or device.note:
            return device
        clock = SystemClock()
        async with Session(address, clock=clock, library=self._library) as session:
            try:
                plausible = await plausible_profiles(session, unit, at=clock.now())
            except DriverError as error:
                return replace(device, note=f"answers, but falls silent when more is asked: {error}")
        matches = tuple(Match(profile.name, 0, profile.title) for profile in plausible)
        return replace(device, profiles=matches)

    def _found(self, device: FoundDevice) -> FoundDevice:
        self.progress.on_found(device)
        return device

    def _likely(self) -> tuple[int, ...]:
        return likely_units(self._known)


async def _is_there(bus: RegisterBus, unit: int) -> bool:
    """Whether anybody answers: with words, or by refusing these registers. A gateway's "nobody there" is no answer of the unit.

    Raises:
        DriverError: `refused` or `config` if the endpoint cannot be reached.
    """
    for function, address in ((RegisterFunction.HOLDING, 0), (RegisterFunction.INPUT, 0)):
        try:
            await bus.read(unit, function, address=address, count=1)
        except RefusedAddressError:
            return True
        except DriverError as error:
            if error.kind in {"refused", "config"}:
                raise
            if error.kind != "exception":
                return False
        else:
            return True
    return False


async def _common_model(bus: RegisterBus, unit: int, *, base: int) -> dict[str, str | None]:
    """The texts of SunSpec's common model, which is the first behind the marker; empty where it is not.

    Raises:
        DriverError: if the device fell silent.
    """
    try:
        words = await bus.read(unit, RegisterFunction.HOLDING, address=base + 2, count=_COMMON_WORDS)
    except RefusedAddressError:
        return {}
    if words[0] != _COMMON_MODEL:
        return {}
    return {name: text_of(words[first : first + count]) for name, (first, count) in _COMMON_FIELDS.items()}
