"""Answers as JSON, and series as tables: one row for each point, as CSV and as Parquet."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from cloud.telemetry.answers import Answer, Line
from shared.errors import SolarHubError
from shared.readings import Value

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

_to_json = msgspec.json.Encoder().encode

Row = tuple[str, Line, datetime, Value, float | None, float | None]
"""Period, line, moment, value, low, high."""


class NoParquetError(SolarHubError):
    """This installation cannot write Parquet."""


def to_json(answer: Answer) -> bytes:
    """A `Series` if one line was asked for, a `SeriesSet` otherwise (see `cloud.telemetry.schemas`)."""
    asked = answer.asked
    lines = [_json_line(line) for line in asked.lines]
    frame = {
        "resolution": answer.resolution,
        "timezone": answer.timezone,
        "start": asked.start,
        "end": asked.end,
        "archived": asked.archived,
    }
    if answer.is_single:
        points = lines[0].pop("points")
        return _to_json({"site_id": answer.site_id, **lines[0], **frame, "points": points})
    compared = answer.compared and {
        "start": answer.compared.start,
        "end": answer.compared.end,
        "archived": answer.compared.archived,
        "series": [_json_line(line) for line in answer.compared.lines],
    }
    return _to_json({"site_id": answer.site_id, **frame, "series": lines, "comparison": compared})


def _json_line(line: Line) -> dict[str, Any]:
    columns = zip(line.moments, line.values, line.lows, line.highs, strict=True)
    return {
        "device_id": line.device_id,
        "metric": line.metric,
        "unit": line.unit,
        "points": [{"at": at, "value": value, "low": low, "high": high} for at, value, low, high in columns],
    }


class DeviceNow(msgspec.Struct, frozen=True, gc=False):
    """A `LiveDevice` (see `cloud.telemetry.schemas`), as it is written."""

    device_id: str
    name: str
    device_type: str
    at: datetime
    age_s: float
    is_stale: bool
    power_kw: float | None
    battery_soc_percent: float | None
    operating_state: str | None
    quality: int


def live_to_json(view: Mapping[str, Any], devices: Sequence[DeviceNow]) -> bytes:
    """A `Live` (see `cloud.telemetry.schemas`): what flows at the site, and the newest values of each device."""
    return _to_json({**view, "devices": devices})


def about(answer: Answer) -> dict[str, str]:
    """What a table itself has no place for: `resolution`, `timezone`, and `archived` as `2026-01-01/2026-01-31, 2026-03-01/2026-03-01`.

    `archived` is there only if some days' values may be missing because they are in the archive: those of the comparison too.
    """
    away = [*answer.asked.archived, *(answer.compared.archived if answer.compared else ())]
    told = ", ".join(dict.fromkeys(f"{days.first_day}/{days.last_day}" for days in away))
    return {"resolution": answer.resolution, "timezone": answer.timezone, **({"archived": told} if told else {})}


def to_csv(answer: Answer) -> bytes:
    """One line for each point, in UTF-8, times in UTC; what was not measured is an empty cell, never 0."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for period, line, moment, told, low, high in _rows(answer):
        value, word = _split(told)
        at = moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
        writer.writerow((period, line.device_id or "", line.metric, line.unit, at, value, low, high, word))
    return text.getvalue().encode()


def to_parquet(answer: Answer) -> bytes:
    """The columns of the CSV with types of their own; what was not measured is null. The file's metadata say what `about` says.

    Raises:
        NoParquetError: if the extra `parquet` is not installed.
    """
    if not CAN_PARQUET:
        raise NoParquetError("install solar-hub[parquet]")
    rows = list(_rows(answer))
    values = [_split(told) for _, _, _, told, _, _ in rows]
    words, numbers = DataType.string(), DataType.float64()
    moments = Array([(moment - _EPOCH) // _MICROSECOND for _, _, moment, _, _, _ in rows], DataType.int64())
    table = Table.from_pydict(
        {
            "period": Array([period for period, *_ in rows], words),
            "device_id": Array([str(line.device_id) if line.device_id else None for _, line, *_ in rows], words),
            "metric": Array([line.metric for _, line, *_ in rows], words),
            "unit": Array([line.unit for _, line, *_ in rows], words),
            "at": moments.cast(DataType.timestamp("us", tz="UTC")),
            "value": Array([value for value, _ in values], numbers),
            "low": Array([low for *_, low, _ in rows], numbers),
            "high": Array([high for *_, high in rows], numbers),
            "word": Array([word for _, word in values], words),
        }
    )
    file = io.BytesIO()
    write_parquet(table, file, compression="zstd(3)", key_value_metadata=about(answer))
    return file.getvalue()


def _rows(answer: Answer) -> Iterator[Row]:
    lines = [("asked", line) for line in answer.asked.lines]
    if answer.compared is not None:
        lines += [("compared", line) for line in answer.compared.lines]
    for period, line in lines:
        for point in zip(line.moments, line.values, line.lows, line.highs, strict=True):
            yield (period, line, *point)


def _split(value: Value) -> tuple[float | None, str | None]:
    """A value as a number or as a word."""
    return (None, value) if isinstance(value, str) else (value, None)
