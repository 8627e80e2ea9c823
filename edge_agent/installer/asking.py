"""What an installer's command asks for, and the session that it opens."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from edge_agent.clock import SystemClock
from edge_agent.drivers.base import DriverError
from edge_agent.drivers.factory import SUNSPEC
from edge_agent.installer.address import VOLTRONIC_DRIVER, DeviceAddress, parse_address
from edge_agent.installer.detect import Match, detect
from edge_agent.installer.probe import plausible_profiles
from edge_agent.installer.reading import DeviceReport, known_types, read_device
from edge_agent.installer.session import Session
from edge_agent.profiles.load import ProfileLibrary
from shared.enums import DeviceType

AUTO = "auto"
DEFAULT_UNIT = 1
"""Where neither the installer nor the profile names one."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One device, as it was typed.

    Attributes:
        profile: name, "sunspec" or "auto".
        unit: Modbus unit; None for the profile's usual one.
        device_type: the only one to read; None for all.
        logger_serial: of a Solarman data logger.
        folder: the installer's own profiles.
    """

    url: str
    profile: str = AUTO
    unit: int | None = None
    device_type: DeviceType | None = None
    logger_serial: int | None = None
    folder: Path | None = None

    def address(self, library: ProfileLibrary) -> DeviceAddress:
        """The address with the unit to ask: the installer's, else the profile's usual one, else 1.

        Raises:
            AddressError: if the URL is none.
            ConfigError: if the profile is not known.
        """
        unit = DEFAULT_UNIT if self.unit is None else self.unit
        address = parse_address(self.url, unit=unit, logger_serial=self.logger_serial)
        if self.unit is not None or self.profile in {AUTO, SUNSPEC} or not address.has_units:
            return address
        usual = library.modbus(self.profile).connection.default_unit
        return address if usual is None else address.with_unit(usual)


@dataclass(frozen=True, slots=True)
class Opened:
    """A session before one device, with the profile that was named or that fits, and the device types to read."""

    session: Session
    profile: str
    device_types: tuple[DeviceType, ...]


@asynccontextmanager
async def opened(asked: Asked) -> AsyncIterator[Opened]:
    """Open a session and settle the profile.

    Raises:
        EdgeError: if the address is none, the profile is not known, or with "auto" none or several fit.
    """
    library = ProfileLibrary(asked.folder)
    async with Session(asked.address(library), clock=SystemClock(), library=library) as session:
        profile = asked.profile if asked.profile != AUTO else await _fitting_profile(session)
        types = (asked.device_type,) if asked.device_type is not None else known_types(session, profile)
        yield Opened(session, profile, types)


async def read_once(asked: Asked) -> DeviceReport:
    """Read one device.

    Raises:
        EdgeError: if it cannot be read.
    """
    async with opened(asked) as found:
        return await read_device(found.session, found.profile, device_types=found.device_types)


async def _fitting_profile(session: Session) -> str:
    address = session.address
    if address.connection.get("driver") == VOLTRONIC_DRIVER:
        return VOLTRONIC_DRIVER  # the protocol is the platform
    unit = int(address.connection.get("slave_id", DEFAULT_UNIT))
    matches = await detect(session, unit)
    if not matches:
        plausible = await plausible_profiles(session, unit, at=SystemClock().now())
        matches = tuple(Match(profile.name, 0, profile.title) for profile in plausible)
    if not matches:
        raise DriverError(
            f"profile = 'auto': {address.shown} unit {unit} answers, but neither as {SUNSPEC} nor as a known profile would; name the "
            "profile (`solarhub-edge profiles list`)",
            retry=False,
            kind="identity",
        )
    best = [match for match in matches if match.checks == matches[0].checks]
    if len(best) > 1:
        raise DriverError(
            f"profile = 'auto': {address.shown} unit {unit} fits {_names(best)} equally well; name one of them",
            retry=False,
            kind="identity",
        )
    return best[0].profile


def _names(matches: list[Match]) -> str:
    return ", ".join(f"{match.profile} ({match.title})" for match in matches)
