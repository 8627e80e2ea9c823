"""Devices computed again: which hours of them have become wrong, from which readings they are made, and their quarter-hours."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.telemetry.repository import archive, raw
from cloud.telemetry.repository.archive import ArchivedError
from cloud.telemetry.repository.stretches import stretches
from cloud.telemetry.rules.context import LOOK_BACK, Asked, Stretch, join_windows, utc_hour
from cloud.telemetry.rules.facts import FLOW_SOURCES, DeviceFacts, SiteFacts
from cloud.telemetry.rules.quarter import QuarterHour, device_hours
from shared.counters import moment_of, unix_us
from shared.periods import HOUR, QUARTER_HOUR, Window, day_of, day_window

READINGS_AT_ONCE = 30_000
"""About so many readings are in memory together: four days of five devices at a reading a minute."""

_POLLS_AROUND = 12
"""Beside the time that the counter rule looks at, so many polls: the readings that confirm a step, and some that were missed."""


@dataclass(frozen=True, slots=True)
class Held:
    """A stretch of time of a device that cannot be computed before readings are back from the archive."""

    device_id: UUID
    window: Window
    missing: ArchivedError


@dataclass(slots=True)
class Computed:
    """What a pass has made of the readings.

    Attributes:
        windows: device -> whole hours that were computed, in order and apart from each other.
        rows: device -> the quarter-hours inside them that its readings tell of.
        held: what has to wait.
    """

    windows: dict[UUID, list[Window]] = field(default_factory=dict)
    rows: dict[UUID, dict[datetime, QuarterHour]] = field(default_factory=dict)
    held: list[Held] = field(default_factory=list)

    @property
    def joined(self) -> list[Window]:
        """The time that was computed of any device."""
        return join_windows(window for windows in self.windows.values() for window in windows)

    def add(self, device_id: UUID, window: Window, rows: Iterable[QuarterHour]) -> None:
        """Take in hours of a device."""
        self.windows[device_id] = join_windows([*self.windows.get(device_id, ()), window])
        self.rows.setdefault(device_id, {}).update((row.bucket, row) for row in rows)

    def holds(self, device_id: UUID, bucket: datetime) -> bool:
        """Whether a quarter-hour of a device was computed."""
        return any(bucket in window for window in self.windows.get(device_id, ()))

    def waits(self, device_id: UUID, bucket: datetime) -> bool:
        """Whether a quarter-hour of a device has to wait."""
        return any(held.device_id == device_id and bucket in held.window for held in self.held)


@dataclass(frozen=True, slots=True)
class _Errand:
    """What is dirty of a device, close together, and the stretch that probably tells all about it."""

    device: DeviceFacts
    asked: Asked
    dirty: Sequence[Window]

    @property
    def readings(self) -> float:
        """About so many readings will come."""
        return 1 + (self.asked.last - self.asked.first).total_seconds() / self.device.poll_interval_s


def errands(site: SiteFacts, dirty: Mapping[UUID, Iterable[Window]]) -> list[_Errand]:
    """What to ask for, given the dirty windows of each device."""
    found = []
    for device in site.devices:
        windows = join_windows(dirty.get(device.id, ()))
        around = _around(device)
        for near in join_windows(Window(window.start - around, window.end + around) for window in windows):
            inside = [window for window in windows if near.start <= window.start < near.end]
            found.append(_Errand(device, Asked(device.id, near.start, near.end), inside))
    return found


def _around(device: DeviceFacts) -> timedelta:
    """So far from what changed the readings are that decide, where the device was heard all the time.

    What changed makes hours wrong that are LOOK_BACK away, and these look as far again; both are rounded to whole hours.
    """
    straddle = timedelta(seconds=device.max_gap_s)
    if device.device_type not in FLOW_SOURCES:
        return HOUR + 2 * straddle
    return HOUR + 2 * LOOK_BACK + _POLLS_AROUND * timedelta(seconds=device.poll_interval_s) + straddle


async def compute(conn: AsyncConnection, site: SiteFacts, wanted: Sequence[_Errand]) -> Computed:
    """The quarter-hours of every hour in which numbers may have changed."""
    computed = Computed()
    for batch in _batches(wanted):
        near = await stretches(conn, site.id, [errand.asked for errand in batch])
        for errand, stretch in zip(batch, near, strict=True):
            await _compute(conn, site, errand, stretch, computed)
    return computed


def _batches(wanted: Sequence[_Errand]) -> Iterator[list[_Errand]]:
    batch: list[_Errand] = []
    for errand in wanted:
        if batch and sum(one.readings for one in batch) + errand.readings > READINGS_AT_ONCE:
            yield batch
            batch = []
        batch.append(errand)
    if batch:
        yield batch


async def _compute(
    conn: AsyncConnection, site: SiteFacts, errand: _Errand, stretch: Stretch | None, computed: Computed
) -> None:
    device, affected = errand.device, []
    for dirty in errand.dirty:
        try:
            affected.append(await _affected(conn, site, device, dirty, stretch=stretch))
        except ArchivedError as error:
            computed.held.append(Held(device.id, dirty, error))
    for window in join_windows(affected):
        try:
            rows = await _hours(conn, site, device, window, stretch=stretch)
        except ArchivedError as error:
            computed.held.append(Held(device.id, window, error))
        else:
            computed.add(device.id, window, rows)


async def _affected(
    conn: AsyncConnection, site: SiteFacts, device: DeviceFacts, dirty: Window, *, stretch: Stretch | None
) -> Window:
    """Whole hours of UTC in which a device's numbers may have changed; their days' quarter-hours are all in the database."""
    straddle, has_counters = timedelta(seconds=device.max_gap_s), device.device_type in FLOW_SOURCES
    reach = None
    if stretch is not None:
        start, end = unix_us(dirty.start), unix_us(dirty.end)
        seen = stretch.affected(start, end, straddle_us=_us(straddle), has_counters=has_counters)
        reach = Window(moment_of(seen[0]), moment_of(seen[1])) if seen else None
    if reach is None:
        reach = await raw.affected_by(conn, site.id, device.id, dirty, straddle=straddle, has_counters=has_counters)
        days = whole_days(Window(utc_hour(reach.start), utc_hour(reach.end) + HOUR), site)
        await archive.refuse_away(conn, site.id, first=days.start, last=days.end, kind="quarter_hours")
    return Window(utc_hour(reach.start), utc_hour(reach.end) + HOUR)


def whole_days(window: Window, site: SiteFacts) -> Window:
    """The site's days that share time with a window."""
    first, last = day_of(window.start, site.zone), day_of(window.end - QUARTER_HOUR, site.zone)
    return Window(day_window(first, site.zone).start, day_window(last, site.zone).end)


async def _hours(
    conn: AsyncConnection, site: SiteFacts, device: DeviceFacts, window: Window, *, stretch: Stretch | None
) -> list[QuarterHour]:
    straddle, has_counters = timedelta(seconds=device.max_gap_s), device.device_type in FLOW_SOURCES
    start, end = unix_us(window.start), unix_us(window.end)
    if stretch is not None and stretch.holds(start, end, straddle_us=_us(straddle), has_counters=has_counters):
        timeline = stretch.timeline
    else:
        timeline = await raw.context_of(conn, site.id, device.id, window, straddle=straddle, has_counters=has_counters)
    return device_hours(timeline, window, device, site)


def _us(span: timedelta) -> int:
    return span // timedelta(microseconds=1)
