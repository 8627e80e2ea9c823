"""Which profile gives numbers that can be true, where none says how to know its platform.

One request tells most maps apart: the register of the grid's frequency, which is 45 to 65 Hz on the right map and hardly ever on another.
What passes is read whole and judged.
"""

from datetime import datetime

from edge_agent.drivers import modbus_codec
from edge_agent.drivers.base import DriverError
from edge_agent.drivers.modbus import RegisterBus
from edge_agent.installer.detect import sound_profiles
from edge_agent.installer.plausibility import FREQUENCY_HZ, Verdict, judge, worst
from edge_agent.installer.reading import read_device
from edge_agent.installer.session import Session
from edge_agent.profiles.model import Profile, Row

_FREQUENCY = "grid_frequency_hz"
_GONE = frozenset({"refused", "timeout"})


async def plausible_profiles(session: Session, unit: int, *, at: datetime) -> tuple[Profile, ...]:
    """Profiles without identity registers whose numbers contradict nothing, by name.

    Args:
        session: before the device.
        unit: Modbus unit.
        at: aware moment.

    Raises:
        DriverError: if the device does not answer.
    """
    bus = session.bus()
    found: list[Profile] = []
    for profile in sound_profiles(session.library):
        if profile.identity or not await _has_a_grid(bus, unit, profile):
            continue
        if await _is_plausible(session, profile, at=at):
            found.append(profile)
    return tuple(found)


async def _has_a_grid(bus: RegisterBus, unit: int, profile: Profile) -> bool:
    rows = [row for row in profile.rows if row.metric == _FREQUENCY]
    return any([await _is_a_frequency(bus, unit, profile, row=row) for row in rows])


async def _is_a_frequency(bus: RegisterBus, unit: int, profile: Profile, *, row: Row) -> bool:
    try:
        registers = await bus.read(unit, row.function, address=row.first, count=row.extent)
    except DriverError as error:
        if error.kind in _GONE:
            raise
        return False
    words = [registers[address - row.first] for address in row.words]
    value = modbus_codec.decode(row, words, order=profile.order_of(row))
    low, high = FREQUENCY_HZ
    return isinstance(value, float) and low <= value <= high


async def _is_plausible(session: Session, profile: Profile, *, at: datetime) -> bool:
    try:
        report = await read_device(session, profile.name, device_types=profile.device_types)
    except DriverError as error:
        if error.kind in _GONE:
            raise
        return False
    parts = {part.device_type: part.values for part in report.parts if any(v is not None for v in part.values.values())}
    return worst(judge(parts, at=at)) in {Verdict.OK, Verdict.DOUBTFUL}
