"""Series as tables: one row for each point, as CSV and as Parquet."""

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from cloud.telemetry.schemas import Point, SeriesLine, SeriesSet
from shared.errors import SolarHubError

try:
    from arro3.core import Array, DataType, Table
    from arro3.io import write_parquet
except ImportError:  # the extra `parquet` is not installed; `to_parquet` says so
    CAN_PARQUET = False
else:
    CAN_PARQUET = True

COLUMNS = ("period", "device_id", "metric", "unit", "at", "value", "low", "high", "word")
"""`period` is `asked` or `compared`; `device_id` is empty for the whole site; `word` is the raw value of a state."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

Row = tuple[str, SeriesLine, Point]


class NoParquetError(SolarHubError):
    """This installation cannot write Parquet."""


def to_csv(answer: SeriesSet) -> bytes:
    """One line for each point, in UTF-8, times in UTC; what was not measured is an empty cell, never 0."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for period, line, point in _rows(answer):
        value, word = _split(point)
        at = point.at.astimezone(UTC).isoformat().replace("+00:00", "Z")
        writer.writerow((period, line.device_id or "", line.metric, line.unit, at, value, point.low, point.high, word))
    return text.getvalue().encode()


def to_parquet(answer: SeriesSet) -> bytes:
    """The columns of the CSV with types of their own; what was not measured is null.

    Raises:
        NoParquetError: if the extra `parquet` is not installed.
    """
    if not CAN_PARQUET:
        raise NoParquetError("install solar-hub[parquet]")
    rows = list(_rows(answer))
    values = [_split(point) for _, _, point in rows]
    words, numbers = DataType.string(), DataType.float64()
    moments = Array([(point.at - _EPOCH) // _MICROSECOND for _, _, point in rows], DataType.int64())
    table = Table.from_pydict(
        {
            "period": Array([period for period, _, _ in rows], words),
            "device_id": Array([str(line.device_id) if line.device_id else None for _, line, _ in rows], words),
            "metric": Array([line.metric for _, line, _ in rows], words),
            "unit": Array([line.unit for _, line, _ in rows], words),
            "at": moments.cast(DataType.timestamp("us", tz="UTC")),
            "value": Array([value for value, _ in values], numbers),
            "low": Array([point.low for _, _, point in rows], numbers),
            "high": Array([point.high for _, _, point in rows], numbers),
            "word": Array([word for _, word in values], words),
        }
    )
    file = io.BytesIO()
    write_parquet(table, file, compression="zstd(3)")
    return file.getvalue()


def _rows(answer: SeriesSet) -> Iterator[Row]:
    lines = [("asked", line) for line in answer.series]
    if answer.comparison is not None:
        lines += [("compared", line) for line in answer.comparison.series]
    return ((period, line, point) for period, line in lines for point in line.points)


def _split(point: Point) -> tuple[float | None, str | None]:
    """A point's value as a number or as a word."""
    return (None, point.value) if isinstance(point.value, str) else (point.value, None)
