"""Rows of `telemetry_readings`, column by column, and how values get into them: what is sane, flagged, or without a column."""

from dataclasses import dataclass, field
from functools import lru_cache
from uuid import UUID

from cloud.ingest.rules import RAW_COLUMNS, TEXT_COLUMNS, fits_text_column, json_safe, largest_in
from cloud.ingest.schemas import Cell
from shared.enums import Quality
from shared.metrics import UnknownMetricError, metric_of
from shared.readings import Value

_OUT_OF_RANGE = int(Quality.OUT_OF_RANGE)


@dataclass(slots=True)
class Rows:
    """Rows of one or several batches, column by column; all columns are equally long after `fill`.

    Attributes:
        device_numbers: `devices.number` of each row.
        moments_us: microseconds of Unix time.
        columns: raw column -> values.
        extras: of the readings that have values without a column: place -> metric key -> value.
    """

    site_ids: list[UUID] = field(default_factory=list)
    device_numbers: list[int] = field(default_factory=list)
    moments_us: list[int] = field(default_factory=list)
    seqs: list[int] = field(default_factory=list)
    qualities: list[int] = field(default_factory=list)
    columns: dict[str, list[Value]] = field(default_factory=dict)
    extras: dict[int, dict[str, Value]] = field(default_factory=dict)

    def __len__(self) -> int:
        """How many rows."""
        return len(self.moments_us)

    def fill(self) -> None:
        """Make every column as long as there are rows."""
        rows = len(self)
        for column in self.columns.values():
            column.extend([None] * (rows - len(column)))


@dataclass(frozen=True, slots=True)
class Judge:
    """Where values of a key go, what the column can hold, and between which bounds a number can be true."""

    key: str
    column: str | None
    is_text: bool
    low: float
    high: float
    limit: float


class JudgesByKey(dict[str, Judge]):
    """Judges of one rated power; only keys of the catalogue are remembered, of which there are finitely many."""

    def __init__(self, rated_kw: float | None) -> None:
        super().__init__()
        self._rated_kw = rated_kw

    def __missing__(self, key: str) -> Judge:
        column = RAW_COLUMNS.get(key)
        limit = largest_in(column)
        try:
            metric = metric_of(key)
        except UnknownMetricError:
            return Judge(key, column, column in TEXT_COLUMNS, -limit, limit, limit)
        low = -limit if metric.low is None else metric.low
        high = limit if metric.high is None else metric.high
        if metric.rated_factor is not None and self._rated_kw is not None:
            rated = metric.rated_factor * self._rated_kw
            low, high = max(low, -rated), min(high, rated)
        judge = self[key] = Judge(key, column, column in TEXT_COLUMNS, low, high, limit)
        return judge


@lru_cache(maxsize=1024)
def judges_of(rated_kw: float | None) -> JudgesByKey:
    """The judges for a device of that rated power (kW)."""
    return JudgesByKey(rated_kw)


def take_cells(rows: Rows, judge: Judge, cells: list[Cell], first_row: int) -> None:
    """Put the values of one key into their column, from a row on."""
    name = judge.column
    if name is None:
        _take_extra(rows, judge, cells, first_row)
        return
    column = rows.columns.get(name)
    if column is None:
        column = rows.columns[name] = []
    if len(column) < first_row:
        column.extend([None] * (first_row - len(column)))
    if judge.is_text:
        _take_texts(rows, column, judge, cells, first_row)
    elif _are_sane(cells, judge.low, judge.high):
        column.extend(cells)
    else:
        _take_numbers(rows, column, judge, cells, first_row)


def _are_sane(cells: list[Cell], low: float, high: float) -> bool:
    """Whether all cells are numbers within bounds, by three passes in C; NaN hides from `min` and `max` but not from a sum."""
    try:
        total: float = sum(cells)  # type: ignore[arg-type]
        return low <= min(cells) and max(cells) <= high and total == total  # type: ignore[type-var, operator]  # noqa: PLR0124
    except TypeError:
        return False


def _take_numbers(rows: Rows, column: list[Value], judge: Judge, cells: list[Cell], first_row: int) -> None:
    low, high, limit = judge.low, judge.high, judge.limit
    for row, value in enumerate(cells, first_row):
        if value is None:
            column.append(None)
        elif isinstance(value, str) or not -limit <= value <= limit:
            column.append(None)
            _misfit(rows, row, judge.key, value)
        else:
            column.append(value)
            if not low <= value <= high:
                rows.qualities[row] |= _OUT_OF_RANGE


def _take_texts(rows: Rows, column: list[Value], judge: Judge, cells: list[Cell], first_row: int) -> None:
    name = judge.column or ""
    unfit = {
        value
        for value in set(cells)
        if value is not None and not (isinstance(value, str) and fits_text_column(name, value))
    }
    if not unfit:
        column.extend(cells)
        return
    for row, value in enumerate(cells, first_row):
        # A NaN is not equal to itself, so it is looked for by what it is.
        if value is None or (isinstance(value, str) and value not in unfit):
            column.append(value)
        else:
            column.append(None)
            _misfit(rows, row, judge.key, value)


def _take_extra(rows: Rows, judge: Judge, cells: list[Cell], first_row: int) -> None:
    for row, value in enumerate(cells, first_row):
        rows.extras.setdefault(row, {})[judge.key] = json_safe(value)
        if value is not None and not isinstance(value, str) and not judge.low <= value <= judge.high:
            rows.qualities[row] |= _OUT_OF_RANGE


def _misfit(rows: Rows, row: int, key: str, value: Value) -> None:
    """Keep a value that its column cannot hold."""
    rows.extras.setdefault(row, {})[key] = json_safe(value)
    rows.qualities[row] |= _OUT_OF_RANGE
