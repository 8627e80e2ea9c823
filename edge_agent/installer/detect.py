"""Which profile fits a device: SunSpec first, then the registers by which profiles know their platform."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from edge_agent.drivers.base import DriverError
from edge_agent.drivers.factory import SUNSPEC
from edge_agent.drivers.modbus import RegisterBus
from edge_agent.drivers.modbus_codec import text_of
from edge_agent.drivers.sunspec import BASES
from edge_agent.errors import ConfigError
from edge_agent.installer.session import Session
from edge_agent.profiles.load import ProfileLibrary
from edge_agent.profiles.model import IdentityCheck, Profile, RegisterFunction, RegisterType

_MARKER = [0x5375, 0x6E53]  # "SunS"
_Place = tuple[RegisterFunction, int]


@dataclass(frozen=True, slots=True)
class Match:
    """A profile that fits.

    Attributes:
        profile: name.
        checks: identity registers that agree; 0 for SunSpec, which says its name itself.
        title: for people.
    """

    profile: str
    checks: int
    title: str


async def detect(session: Session, unit: int) -> tuple[Match, ...]:
    """Profiles that fit one unit, the best first; empty where the device answers but is of no known platform.

    Raises:
        DriverError: if the device does not answer.
    """
    bus = session.bus()
    if await sunspec_base(bus, unit) is not None:
        return (Match(SUNSPEC, 0, "SunSpec"),)
    return await matching_profiles(bus, unit, profiles=identifiable(session.library))


async def sunspec_base(bus: RegisterBus, unit: int) -> int | None:
    """Where a unit has a SunSpec marker; None where it has none.

    Raises:
        DriverError: if the device does not answer.
    """
    for base in BASES:
        try:
            words = await bus.read(unit, RegisterFunction.HOLDING, address=base, count=len(_MARKER))
        except DriverError as error:
            if error.kind != "exception":
                raise
            continue
        if words == _MARKER:
            return base
    return None


async def matching_profiles(bus: RegisterBus, unit: int, *, profiles: Iterable[Profile]) -> tuple[Match, ...]:
    """Those of the profiles with identity registers that all agree, those with most of them first.

    Raises:
        DriverError: if the device does not answer.
    """
    known: dict[_Place, int | None] = {}
    found: list[Match] = []
    for profile in profiles:
        agreeing = 0
        for check in profile.identity:
            words = await _words(bus, unit, check, known)
            if words is None:
                continue
            if not agrees(check, words):
                agreeing = 0
                break
            agreeing += 1
        if agreeing:
            found.append(Match(profile.name, agreeing, profile.title))
    return tuple(sorted(found, key=lambda match: (-match.checks, match.profile)))


def identifiable(library: ProfileLibrary) -> tuple[Profile, ...]:
    """Profiles that say how to know their platform."""
    return tuple(profile for profile in sound_profiles(library) if profile.identity)


def sound_profiles(library: ProfileLibrary) -> tuple[Profile, ...]:
    """Every Modbus profile whose file is sound. A broken one concerns only who uses it; `profiles lint` names it."""
    profiles: list[Profile] = []
    for name in library.modbus_names():
        try:
            profiles.append(library.modbus(name))
        except ConfigError:
            continue
    return tuple(profiles)


def agrees(check: IdentityCheck, words: Sequence[int]) -> bool:
    """Whether the words of an identity register are this platform's."""
    if check.type is RegisterType.STRING:
        return (text_of(words) or "").startswith(check.starts_with)
    return words[0] in check.any_of


def identity_words(profile: Profile, session: Session) -> list[dict[str, Any]]:
    """What the identity registers of a profile were in this session, and what they should be."""
    unit = int(session.address.connection.get("slave_id", 1))
    documents = []
    for check in profile.identity:
        words = session.log.words_at(unit, check.function, addresses=places(check))
        documents.append(
            {
                "address": check.address,
                "function": check.function.value,
                "words": None if words is None else list(words),
                "agrees": None if words is None else agrees(check, words),
                "meaning": check.meaning,
            }
        )
    return documents


def places(check: IdentityCheck) -> tuple[int, ...]:
    """Addresses of an identity register's words."""
    return tuple(range(check.address, check.address + check.count))


async def _words(
    bus: RegisterBus, unit: int, check: IdentityCheck, known: dict[_Place, int | None]
) -> tuple[int, ...] | None:
    """The words of an identity register, each asked for once; None where the device has none."""
    wanted = [(check.function, address) for address in places(check)]
    if not all(place in known for place in wanted):
        try:
            words = await bus.read(unit, check.function, address=check.address, count=len(wanted))
        except DriverError as error:
            if error.kind != "exception":
                raise
            known |= dict.fromkeys(wanted)
        else:
            known |= dict(zip(wanted, words, strict=True))
    words_known = [known[place] for place in wanted]
    return tuple(word for word in words_known if word is not None) if None not in words_known else None
