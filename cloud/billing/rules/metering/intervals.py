"""Intervals of a meter (5, 15, 30 or 60 minutes) and what they say about a billing period.

The CSV has a header line and one line for each interval:

    start,imported_kwh,exported_kwh
    2026-08-05T00:00:00+05:00,0.213,0
    2026-08-05T00:15:00+05:00,0.198,0

`start` is ISO 8601. Without an offset it is local time in the meter's zone: of an hour that the clocks show twice, the first mention is the
earlier one. The other columns are `imported_kwh` (needed), `exported_kwh`, `generated_kwh` and `consumed_kwh`, kWh of the interval; an
empty field was not measured. All intervals of a file have one length.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from zoneinfo import ZoneInfo

from cloud.billing.rules.errors import BillingError
from cloud.billing.rules.metering.energy import PeriodEnergy
from cloud.billing.rules.metering.tou import is_peak
from shared.periods import QUARTER_HOUR, Window, quarter_hour_floor

STEPS_MINUTES = (5, 15, 30, 60)
START = "start"
FLOWS = ("imported_kwh", "exported_kwh", "generated_kwh", "consumed_kwh")
MAX_INTERVAL_KWH = Decimal(1_000_000)
_ZERO = Decimal(0)
_MINUTE = timedelta(minutes=1)
_SECONDS_PER_HOUR = 3600
_QUARTER_S = 900


class IntervalError(BillingError):
    """A line of the intervals cannot be used.

    Attributes:
        line: of the file, the header is line 1; None when the error is of the file as a whole.
        column: name of the column.
        value: as it stands there.
    """

    def __init__(self, message: str, *, line: int | None = None, column: str | None = None, value: str = "") -> None:
        """Put the place before the message."""
        place = "" if line is None else f"line {line}" + ("" if column is None else f", column {column}") + ": "
        super().__init__(f"{place}{message}")
        self.line = line
        self.column = column
        self.value = value


@dataclass(frozen=True, slots=True)
class Interval:
    """Energy of a stretch of time, kWh; None = not measured.

    Attributes:
        start: aware.
        seconds: length.
    """

    start: datetime
    seconds: int
    imported_kwh: Decimal | None = None
    exported_kwh: Decimal | None = None
    generated_kwh: Decimal | None = None
    consumed_kwh: Decimal | None = None

    @property
    def end(self) -> datetime:
        """First moment after it."""
        return self.start.astimezone(UTC) + timedelta(seconds=self.seconds)


@dataclass(frozen=True, slots=True)
class IntervalEnergy:
    """Energy of a period from intervals.

    Attributes:
        assumptions: what had to be taken for granted, in words; the bill should show it.
    """

    energy: PeriodEnergy
    assumptions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    start: datetime
    energies: Mapping[str, Decimal | None]


def _columns(header: Sequence[str]) -> list[str]:
    names = [name.strip().lower().removeprefix("\ufeff") for name in header]
    known = (START, *FLOWS)
    for name in names:
        if name not in known:
            raise IntervalError(f"{name!r} is not a column; known: {', '.join(known)}", line=1, column=name, value=name)
        if names.count(name) > 1:
            raise IntervalError("the column stands there twice; keep one", line=1, column=name, value=name)
    for name in (START, "imported_kwh"):
        if name not in names:
            raise IntervalError(f"column {name} is missing; the first line names the columns", line=1, column=name)
    return names


def _moment(text: str, *, line: int, zone: ZoneInfo, seen: set[datetime]) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        message = f"{text!r} is not a moment; write 2026-08-05T00:15:00+05:00 or 2026-08-05 00:15"
        raise IntervalError(message, line=line, column=START, value=text) from error
    if at.tzinfo is not None:
        return at.astimezone(UTC)
    moment = at.replace(tzinfo=zone, fold=int(at in seen)).astimezone(UTC)
    seen.add(at)
    if moment.astimezone(zone).replace(tzinfo=None) != at:
        message = f"{text} did not exist in {zone.key}: the clocks were set forward over it; give the offset"
        raise IntervalError(message, line=line, column=START, value=text)
    return moment


def _energy(text: str, *, line: int, column: str) -> Decimal | None:
    if not text:
        return None
    try:
        kwh = Decimal(text)
    except InvalidOperation as error:
        message = f"{text!r} is not a number; write kWh with a decimal point, e.g. 0.213, and nothing for not measured"
        raise IntervalError(message, line=line, column=column, value=text) from error
    if not kwh.is_finite() or not 0 <= kwh <= MAX_INTERVAL_KWH:
        message = f"{text} is out of range; energy of an interval is 0 to {MAX_INTERVAL_KWH} kWh"
        raise IntervalError(message, line=line, column=column, value=text)
    return kwh


def _rows(text: str, zone: ZoneInfo) -> list[_Row]:
    reader = csv.reader(io.StringIO(text))
    columns = _columns(next(reader, []))
    rows: list[_Row] = []
    seen: set[datetime] = set()
    for fields in reader:
        line = reader.line_num
        if not any(field.strip() for field in fields):
            continue
        if len(fields) != len(columns):
            message = f"{len(fields)} fields where the header names {len(columns)}"
            raise IntervalError(message, line=line, value=",".join(fields))
        told = {name: field.strip() for name, field in zip(columns, fields, strict=True)}
        start = _moment(told.pop(START), line=line, zone=zone, seen=seen)
        rows.append(_Row(line, start, {name: _energy(value, line=line, column=name) for name, value in told.items()}))
    return rows


def _step_minutes(rows: Sequence[_Row]) -> int:
    if len(rows) < 2:
        raise IntervalError("the length of the intervals cannot be seen from fewer than two lines; give step_minutes")
    shortest = min(later.start - earlier.start for earlier, later in pairwise(rows))
    for minutes in STEPS_MINUTES:
        if shortest == minutes * _MINUTE:
            return minutes
    message = f"the intervals are {shortest} apart; known lengths: {', '.join(map(str, STEPS_MINUTES))} minutes"
    raise IntervalError(message, line=rows[1].line, column=START)


def _check_order(rows: Sequence[_Row], minutes: int, zone: ZoneInfo) -> None:
    for earlier, later in pairwise(rows):
        if later.start - earlier.start < minutes * _MINUTE:
            moment = later.start.astimezone(zone).isoformat()
            message = f"{moment} overlaps the {minutes} minutes of line {earlier.line}; keep one of them"
            raise IntervalError(message, line=later.line, column=START, value=moment)
    for row in rows:
        local = row.start.astimezone(zone)
        if local.minute % minutes or local.second or local.microsecond:
            message = f"{local.isoformat()} is not on a step of {minutes} minutes"
            raise IntervalError(message, line=row.line, column=START, value=local.isoformat())


def parse_intervals_csv(text: str, *, zone: ZoneInfo, step_minutes: int | None = None) -> tuple[Interval, ...]:
    """Read a file of intervals; see the module for its form.

    Args:
        text: the whole file.
        zone: for moments without an offset.
        step_minutes: 5, 15, 30 or 60; None = the shortest distance between two lines.

    Returns:
        The intervals in order of time; lines may come in any order.

    Raises:
        IntervalError: names line, column and value: not a moment or number, twice the same moment, an overlap, an unknown length.
    """
    if step_minutes is not None and step_minutes not in STEPS_MINUTES:
        raise IntervalError(f"step_minutes is {step_minutes}; known: {', '.join(map(str, STEPS_MINUTES))}")
    rows = sorted(_rows(text, zone), key=lambda row: (row.start, row.line))
    if not rows:
        raise IntervalError("the file has no intervals, only a header line")
    for earlier, later in pairwise(rows):
        if earlier.start == later.start:
            moment = later.start.astimezone(zone).isoformat()
            message = f"{moment} is on line {earlier.line} as well; keep one of them"
            raise IntervalError(message, line=later.line, column=START, value=moment)
    minutes = step_minutes or _step_minutes(rows)
    _check_order(rows, minutes, zone)
    return tuple(Interval(row.start, minutes * 60, **row.energies) for row in rows)


def peak_share(interval: Interval, *, zone: ZoneInfo, disco_provider: str) -> Decimal:
    """Share of the interval's time in peak hours: 0, 1, or between where an edge lies inside it."""
    pieces = max(1, interval.seconds // _QUARTER_S)
    start = interval.start.astimezone(UTC)
    peak = sum(is_peak((start + n * QUARTER_HOUR).astimezone(zone), disco_provider) for n in range(pieces))
    return Decimal(peak) / pieces


def max_demand_kw(intervals: Iterable[Interval]) -> Decimal | None:
    """Highest mean import: of quarter-hours, or of the intervals where these are longer; None = nothing was measured."""
    energies: dict[datetime, Decimal] = {}
    seconds = _QUARTER_S
    for interval in intervals:
        if interval.imported_kwh is not None:
            seconds = max(_QUARTER_S, interval.seconds)
            key = quarter_hour_floor(interval.start) if interval.seconds < _QUARTER_S else interval.start
            energies[key] = energies.get(key, _ZERO) + interval.imported_kwh
    return max(energies.values()) * _SECONDS_PER_HOUR / seconds if energies else None


def _assumptions(intervals: Sequence[Interval], *, split: int, disco_provider: str) -> tuple[str, ...]:
    found = []
    if split:
        found.append(
            f"{split} intervals lie across an edge of the peak hours of {disco_provider}: their energy is split by time."
        )
    longest = max(interval.seconds for interval in intervals)
    if longest > _QUARTER_S:
        found.append(
            f"The highest demand is a mean over {longest // 60} minutes; a meter's is over shorter ones and may be higher."
        )
    return tuple(found)


def interval_energy(
    intervals: Iterable[Interval], *, window: Window, zone: ZoneInfo, disco_provider: str
) -> IntervalEnergy:
    """Add up the intervals that begin in a window.

    Args:
        intervals: without overlap; others than those of the window are left out.
        window: see `energy.period_window`.
        zone: of the meter.
        disco_provider: decides the peak hours.

    Raises:
        IntervalError: if no interval begins in the window.
    """
    rows = [interval for interval in intervals if interval.start in window]
    if not rows:
        raise IntervalError(
            f"no interval begins between {window.start.astimezone(zone).date()} and the period's end; give the period's own"
        )
    shares = [peak_share(row, zone=zone, disco_provider=disco_provider) for row in rows]

    def total(flow: str) -> Decimal | None:
        known = [kwh for row in rows if (kwh := getattr(row, flow)) is not None]
        return sum(known, _ZERO) if known else None

    def peak(flow: str) -> Decimal | None:
        known = [
            kwh * share for row, share in zip(rows, shares, strict=True) if (kwh := getattr(row, flow)) is not None
        ]
        return sum(known, _ZERO) if known else None

    energy = PeriodEnergy(
        generated_kwh=total("generated_kwh"),
        consumed_kwh=total("consumed_kwh"),
        imported_kwh=total("imported_kwh"),
        exported_kwh=total("exported_kwh"),
        imported_peak_kwh=peak("imported_kwh"),
        exported_peak_kwh=peak("exported_kwh"),
        consumed_peak_kwh=peak("consumed_kwh"),
        max_demand_kw=max_demand_kw(rows),
        coverage_percent=min(
            100.0, sum(row.seconds for row in rows if row.imported_kwh is not None) / window.seconds * 100
        ),
    )
    split = sum(share not in {0, 1} for share in shares)
    return IntervalEnergy(energy, _assumptions(rows, split=split, disco_provider=disco_provider))
