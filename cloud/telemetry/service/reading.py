"""Answers to questions about a stretch of time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.core.errors import FieldProblem, NotFoundError, ValidationFailedError
from cloud.sites.schemas import SiteOut
from cloud.telemetry.answers import Answer, ArchivedDays, Line, Span
from cloud.telemetry.repository import archive, reads
from cloud.telemetry.repository.reads import AskedDevice, RawColumns, Slots
from cloud.telemetry.rules.channels import period_values
from cloud.telemetry.rules.series import (
    ENERGY_METRICS,
    MAX_POINTS,
    MAX_SERIES,
    NoSeriesError,
    Resolution,
    TooManyPointsError,
    choose_resolution,
    gauge_columns,
    is_channel,
    period_edges,
    unit_of,
)
from cloud.telemetry.schemas import DayEnergy, Energy
from shared.counters import unix_us
from shared.metrics import UnknownMetricError, metric_of
from shared.periods import Window, day_of, days_between, zone_of

MAX_DAYS = 1_100
"""Three years of days in one answer."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about a stretch of time.

    Attributes:
        metrics: each once.
        device_ids: each once; none = the whole site.
        window: the stretch of time.
        resolution: the one that is wanted.
        compared: an earlier stretch of time, answered at the same resolution.
    """

    metrics: tuple[str, ...]
    device_ids: tuple[UUID, ...]
    window: Window
    resolution: Resolution = Resolution.AUTO
    compared: Window | None = None

    @property
    def is_single(self) -> bool:
        """One line and nothing to compare it with."""
        return len(self.metrics) == 1 and len(self.device_ids) <= 1 and self.compared is None


async def series(conn: AsyncConnection, site: SiteOut, question: Question) -> Answer:
    """Metrics of a site or of devices over time.

    Raises:
        NotFoundError: if the site lacks one of the devices.
        ValidationFailedError: if a metric has no such series, or the answer would be too long.
    """
    lines = len(question.metrics) * max(1, len(question.device_ids))
    if lines > MAX_SERIES:
        message = f"{lines} series (metrics times devices) are more than {MAX_SERIES}; ask for fewer at once"
        raise _refused("metric", ", ".join(question.metrics), message)
    devices = await _devices(conn, site.id, question)
    windows = [question.window, *([question.compared] if question.compared else [])]
    try:
        longest = max(windows, key=lambda window: window.seconds)
        taken = choose_resolution(question.resolution, longest, raw_interval_s=_raw_interval_s(question, devices))
    except TooManyPointsError as error:
        raise _refused("resolution", question.resolution.value, str(error)) from error
    except NoSeriesError as error:
        raise _refused("metric", question.metrics[0], str(error)) from error
    spans = [await _Reader(conn, site, devices, taken).span(question.metrics, window) for window in windows]
    return Answer(
        site_id=site.id,
        resolution=taken.value,
        timezone=site.timezone,
        asked=spans[0],
        compared=spans[1] if question.compared else None,
        is_single=question.is_single,
    )


async def energy(conn: AsyncConnection, site: SiteOut, *, first: date, last: date) -> Energy:
    """The site's days.

    Raises:
        ValidationFailedError: if the last day is before the first, or there are too many.
    """
    check_days(first, last)
    rows = {row["summary_date"]: row for row in await reads.site_days(conn, site.id, first=first, last=last)}
    names = [name for name in DayEnergy.model_fields if name != "date"]
    days = [
        DayEnergy(date=day, **{name: rows[day][name] for name in names} if day in rows else {})
        for day in days_between(first, last)
    ]
    return Energy(site_id=site.id, timezone=site.timezone, first_day=first, last_day=last, days=days)


def check_days(first: date, last: date) -> None:
    """Refuse days that cannot be answered.

    Raises:
        ValidationFailedError: if the last day is before the first, or there are too many.
    """
    if not 0 <= (last - first).days < MAX_DAYS:
        problem: FieldProblem = {
            "field": "to",
            "value": last.isoformat(),
            "message": f"must not be before {first.isoformat()}, nor {MAX_DAYS} days or more after it",
        }
        raise ValidationFailedError("The days do not make a period that can be answered.", errors=[problem])


async def _devices(conn: AsyncConnection, site_id: UUID, question: Question) -> list[AskedDevice]:
    """The devices of a question, in its order."""
    if not question.device_ids:
        return []
    found = {device.id: device for device in await reads.asked_devices(conn, site_id, question.device_ids)}
    if len(found) < len(question.device_ids):
        raise NotFoundError("There is no such device on this site.")
    return [found[device_id] for device_id in question.device_ids]


def _raw_interval_s(question: Question, devices: Sequence[AskedDevice]) -> float | None:
    """Seconds between two raw values of the quickest device; None where raw readings cannot answer."""
    if not devices or ENERGY_METRICS.keys() & set(question.metrics):
        return None
    return min(device.poll_interval_s for device in devices)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads one answer's lines.

    Attributes:
        devices: whose lines; none = the whole site.
        taken: resolution of every line.
    """

    conn: AsyncConnection
    site: SiteOut
    devices: Sequence[AskedDevice]
    taken: Resolution

    async def span(self, metrics: Sequence[str], window: Window) -> Span:
        """Every line over a stretch of time: by metric, then by device."""
        zone = zone_of(self.site.timezone)
        edges = [] if self.taken is Resolution.RAW else period_edges(self.taken, window, zone)
        lines: list[Line] = []
        for metric in metrics:
            try:
                lines += await self._raw(metric, window) if not edges else await self._periods(metric, edges)
            except (UnknownMetricError, NoSeriesError) as error:
                raise _refused("metric", metric, str(error)) from error
            except TooManyPointsError as error:
                raise _refused("resolution", self.taken.value, str(error)) from error
        return Span(window.start, window.end, lines, await self._archived(lines, window))

    async def _archived(self, lines: Sequence[Line], window: Window) -> list[ArchivedDays]:
        """Days whose values are only in the archive; nobody need ask where nothing is missing."""
        kinds = {self._source(line.metric) for line in lines if not line.values or None in line.values} - {None}
        if self.taken is Resolution.RAW:
            kinds = {"raw"}
        if not kinds:
            return []
        return await archive.days_away(self.conn, self.site.id, kinds=[kind for kind in kinds if kind], window=window)

    def _source(self, metric: str) -> str | None:
        """What a line is read from, as the archive names it; None for what is kept for ever."""
        if metric not in ENERGY_METRICS:
            return "raw" if self.devices and is_channel(metric) else "quarter_hours"
        return {Resolution.QUARTER_HOUR: "quarter_hours", Resolution.HOUR: "hours"}.get(self.taken)

    async def _raw(self, metric: str, window: Window) -> list[Line]:
        limit = MAX_POINTS * len(self.devices) + 1
        found = await reads.raw_points(
            self.conn, self.site.id, self.devices, metric=_raw_key(metric), window=window, limit=limit
        )
        if any(len(columns.moments) > MAX_POINTS for columns in found.values()):
            raise TooManyPointsError(
                f"the readings are denser than the device's poll interval: more than {MAX_POINTS}; ask for '15m' or a shorter time"
            )
        lines = []
        for device in self.devices:
            columns = found.get(device.id, RawColumns((), ()))
            nothing = [None] * len(columns.moments)
            lines.append(
                Line(device.id, metric, unit_of(metric), columns.moments, columns.values, lows=nothing, highs=nothing)
            )
        return lines

    async def _periods(self, metric: str, edges: Sequence[datetime]) -> list[Line]:
        """A point for every period: null where nothing was measured."""
        found = await self._slots(metric, edges)
        starts, unit = edges[:-1], unit_of(metric)
        lines = []
        subjects: list[UUID | None] = [device.id for device in self.devices]
        for device_id in subjects or [None]:
            values, lows, highs = _filled(found.get(device_id), len(starts))
            lines.append(Line(device_id, metric, unit, starts, values, lows=lows, highs=highs))
        return lines

    async def _slots(self, metric: str, edges: Sequence[datetime]) -> dict[UUID | None, Slots]:
        """What is known of a metric in each period, by device."""
        conn, site = self.conn, self.site
        ids = [device.id for device in self.devices]
        flow = ENERGY_METRICS.get(metric)
        if flow is None and self.devices and is_channel(metric):
            return await self._channels(metric, edges)
        if flow is None:
            columns = gauge_columns(metric, is_site=not ids)
            return await reads.gauge_slots(conn, site.id, ids, columns=columns, edges=edges)
        if self.taken is Resolution.QUARTER_HOUR:
            return await reads.energy_quarters(conn, site.id, ids, flow=flow, edges=edges)
        zone = zone_of(site.timezone)
        keys = edges[:-1] if self.taken is Resolution.HOUR else [day_of(start, zone) for start in edges[:-1]]
        return await reads.energy_summaries(conn, site.id, ids, flow=flow, resolution=self.taken, keys=keys)

    async def _channels(self, metric: str, edges: Sequence[datetime]) -> dict[UUID | None, Slots]:
        """Plain mean, minimum and maximum of a channel's usable raw readings."""
        moments, window = [unix_us(edge) for edge in edges], Window(edges[0], edges[-1])
        found = await reads.channel_stretches(
            self.conn, self.site.id, self.devices, metric=_raw_key(metric), window=window
        )
        slots: dict[UUID | None, Slots] = {}
        for device_id, stretches in found.items():
            known = period_values(stretches, moments)
            slots[device_id] = Slots(known.places, known.means, lows=known.lows, highs=known.highs)
        return slots


def _raw_key(metric: str) -> str:
    """The key of raw readings: an alias by its own name, with the channel."""
    name, dot, channel = metric.partition(".")
    return metric_of(name).name + dot + channel


_Column = list[float | None]


def _filled(slots: Slots | None, count: int) -> tuple[_Column, _Column, _Column]:
    """Values, lows and highs with a place for every period."""
    if slots is not None and slots.places == range(count):
        return list(slots.values), list(slots.lows), list(slots.highs)
    values: _Column = [None] * count
    lows, highs = values.copy(), values.copy()
    if slots is not None:
        columns = zip(slots.places, slots.values, slots.lows, slots.highs, strict=True)
        for place, value, low, high in columns:
            values[place], lows[place], highs[place] = value, low, high
    return values, lows, highs


def _refused(field: str, value: str, message: str) -> ValidationFailedError:
    problem: FieldProblem = {"field": field, "value": value, "message": message}
    return ValidationFailedError(f"{field}: {message}", errors=[problem])
