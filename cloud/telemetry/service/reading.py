"""Answers to questions about a stretch of time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import product
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.core.errors import FieldProblem, NotFoundError, ValidationFailedError
from cloud.sites.schemas import SiteOut
from cloud.telemetry.repository import reads
from cloud.telemetry.repository.reads import Slot
from cloud.telemetry.rules.series import (
    ENERGY_METRICS,
    MAX_POINTS,
    MAX_SERIES,
    NoSeriesError,
    Resolution,
    TooManyPointsError,
    choose_resolution,
    edges_of,
    gauge_columns,
    grid,
    is_channel,
    unit_of,
)
from cloud.telemetry.schemas import ComparedSeries, DayEnergy, Energy, Point, Series, SeriesLine, SeriesSet
from shared.metrics import UnknownMetricError, metric_of
from shared.periods import Window, day_of, days_between, zone_of

_points = TypeAdapter(list[Point])

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


async def series(conn: AsyncConnection, site: SiteOut, question: Question) -> SeriesSet:
    """Metrics of a site or of devices, each with its points.

    Raises:
        NotFoundError: if the site lacks one of the devices.
        ValidationFailedError: if a metric has no such series, or the answer would be too long.
    """
    lines = len(question.metrics) * max(1, len(question.device_ids))
    if lines > MAX_SERIES:
        message = f"{lines} series (metrics times devices) are more than {MAX_SERIES}; ask for fewer at once"
        raise _refused("metric", ", ".join(question.metrics), message)
    interval_s = await _raw_interval_s(conn, site.id, question)
    windows = [question.window, *([question.compared] if question.compared else [])]
    try:
        longest = max(windows, key=lambda window: window.seconds)
        taken = choose_resolution(question.resolution, longest, raw_interval_s=interval_s)
    except TooManyPointsError as error:
        raise _refused("resolution", question.resolution.value, str(error)) from error
    except NoSeriesError as error:
        raise _refused("metric", question.metrics[0], str(error)) from error
    answers = [await _lines(conn, site, question, window, taken) for window in windows]
    compared = question.compared
    return SeriesSet(
        site_id=site.id,
        resolution=taken.value,
        timezone=site.timezone,
        start=question.window.start,
        end=question.window.end,
        series=answers[0],
        comparison=compared and ComparedSeries(start=compared.start, end=compared.end, series=answers[1]),
    )


def single(answer: SeriesSet) -> Series:
    """An answer's only line, in the form of its own."""
    line = answer.series[0]
    return Series(
        site_id=answer.site_id,
        device_id=line.device_id,
        metric=line.metric,
        unit=line.unit,
        resolution=answer.resolution,
        timezone=answer.timezone,
        start=answer.start,
        end=answer.end,
        points=line.points,
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


async def _raw_interval_s(conn: AsyncConnection, site_id: UUID, question: Question) -> float | None:
    """Seconds between two raw values of the quickest device; None where raw readings cannot answer."""
    if not question.device_ids:
        return None
    intervals = await reads.poll_intervals_s(conn, site_id, question.device_ids)
    if len(intervals) < len(question.device_ids):
        raise NotFoundError("There is no such device on this site.")
    return None if ENERGY_METRICS.keys() & set(question.metrics) else min(intervals.values())


async def _lines(
    conn: AsyncConnection, site: SiteOut, question: Question, window: Window, taken: Resolution
) -> list[SeriesLine]:
    """Every line of an answer: by metric, then by device."""
    periods = [] if taken is Resolution.RAW else grid(taken, window, zone_of(site.timezone))
    found: dict[tuple[str, UUID | None], list[Point]] = {}
    for metric in question.metrics:
        try:
            if taken is Resolution.RAW:
                points = await _raw(conn, site.id, question.device_ids, metric=metric, window=window)
            else:
                slots = await _slots(conn, site, question.device_ids, metric=metric, taken=taken, periods=periods)
                points = {device_id: _filled(known, periods) for device_id, known in slots.items()}
        except (UnknownMetricError, NoSeriesError) as error:
            raise _refused("metric", metric, str(error)) from error
        except TooManyPointsError as error:
            raise _refused("resolution", taken.value, str(error)) from error
        found |= {(metric, device_id): values for device_id, values in points.items()}
    return [
        SeriesLine(
            device_id=device_id,
            metric=metric,
            unit=unit_of(metric),
            points=found.get((metric, device_id), _filled([], periods)),
        )
        for metric, device_id in product(question.metrics, question.device_ids or (None,))
    ]


async def _raw(
    conn: AsyncConnection, site_id: UUID, device_ids: Sequence[UUID], *, metric: str, window: Window
) -> dict[UUID | None, list[Point]]:
    name, dot, channel = metric.partition(".")
    key = metric_of(name).name + dot + channel
    limit = MAX_POINTS * len(device_ids) + 1
    found = await reads.raw_points(conn, site_id, device_ids, metric=key, window=window, limit=limit)
    if any(len(points) > MAX_POINTS for points in found.values()):
        raise TooManyPointsError(
            f"the readings are denser than the device's poll interval: more than {MAX_POINTS}; ask for '15m' or a shorter time"
        )
    return {
        device_id: _points.validate_python([{"at": at, "value": value} for at, value in points])
        for device_id, points in found.items()
    }


async def _slots(
    conn: AsyncConnection,
    site: SiteOut,
    device_ids: Sequence[UUID],
    *,
    metric: str,
    taken: Resolution,
    periods: list[Window],
) -> dict[UUID | None, list[Slot]]:
    """What is known of a metric in each period, by device."""
    flow = ENERGY_METRICS.get(metric)
    if flow is None:
        if device_ids and is_channel(metric):
            name, dot, channel = metric.partition(".")
            key = metric_of(name).name + dot + channel
            return await reads.channel_slots(conn, site.id, device_ids, metric=key, edges=edges_of(periods))
        columns = gauge_columns(metric, is_site=not device_ids)
        return await reads.gauge_slots(conn, site.id, device_ids, columns=columns, edges=edges_of(periods))
    if taken is Resolution.QUARTER_HOUR:
        return await reads.energy_quarters(conn, site.id, device_ids, flow=flow, edges=edges_of(periods))
    zone = zone_of(site.timezone)
    keys = [period.start if taken is Resolution.HOUR else day_of(period.start, zone) for period in periods]
    return await reads.energy_summaries(conn, site.id, device_ids, flow=flow, resolution=taken, keys=keys)


def _filled(slots: list[Slot], periods: list[Window]) -> list[Point]:
    """A point for every period: null where nothing was measured."""
    known = {slot.index: slot for slot in slots}
    nothing = Slot(0, None)
    filled = ((period.start, known.get(index, nothing)) for index, period in enumerate(periods))
    return _points.validate_python(
        [{"at": at, "value": slot.value, "low": slot.low, "high": slot.high} for at, slot in filled]
    )


def _refused(field: str, value: str, message: str) -> ValidationFailedError:
    problem: FieldProblem = {"field": field, "value": value, "message": message}
    return ValidationFailedError(f"{field}: {message}", errors=[problem])
