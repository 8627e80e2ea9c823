"""Columns as Parquet files, and back without a bit of difference."""

import io
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from cloud.storage.rules import FileColumn
from shared.errors import SolarHubError

try:
    from arro3.core import Array, DataType, Table
    from arro3.io import read_parquet, write_parquet
except ImportError:  # the extra `parquet` is not installed; `to_parquet` says so
    CAN_PARQUET = False
else:
    CAN_PARQUET = True

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_BATCH_ROWS = 65_536


class NoArchiveFormatError(SolarHubError):
    """Archives are Parquet files, which this installation cannot write or read: install solar-hub[parquet]. Nothing was dropped."""


def to_parquet(columns: Mapping[str, FileColumn], *, about: Mapping[str, str]) -> bytes:
    """Write a file; the same columns give the same bytes.

    Args:
        columns: all of one length.
        about: what the file says of itself, under the one key `solarhub` (the order of several is not the writer's promise).

    Raises:
        NoArchiveFormatError: if the extra `parquet` is not installed.
    """
    _check_library()
    file = io.BytesIO()
    table = Table.from_pydict({name: _array(column) for name, column in columns.items()})
    write_parquet(table, file, compression="zstd(3)", key_value_metadata={"solarhub": json.dumps(about)})
    return file.getvalue()


def from_parquet(content: bytes) -> dict[str, list[Any]]:
    """Read a file that `to_parquet` wrote, whose digest was found right before; moments are aware, UTC.

    Raises:
        NoArchiveFormatError: if the extra `parquet` is not installed.
    """
    _check_library()
    table = read_parquet(io.BytesIO(content), batch_size=_BATCH_ROWS).read_all()
    return {name: _values(table, name) for name in table.column_names}


def _check_library() -> None:
    if not CAN_PARQUET:
        raise NoArchiveFormatError(
            "archives are Parquet files, which this installation cannot write or read: install solar-hub[parquet]; nothing was dropped"
        )


def _array(column: FileColumn) -> "Array":
    if column.kind.startswith("TIMESTAMP"):
        numbers = [None if at is None else (at - _EPOCH) // _MICROSECOND for at in column.values]
        return Array(numbers, DataType.int64()).cast(DataType.timestamp("us", tz="UTC"))
    return Array(list(column.values), _arrow_type(column.kind))


def _arrow_type(kind: str) -> "DataType":
    numbers = {
        "BIGINT": DataType.int64,
        "INTEGER": DataType.int32,
        "SMALLINT": DataType.int16,
        "DOUBLE PRECISION": DataType.float64,
        "REAL": DataType.float32,
    }
    return numbers.get(kind, DataType.string)()


def _values(table: "Table", name: str) -> list[Any]:
    column = table.column(name)
    if column.type == DataType.timestamp("us", tz="UTC"):
        numbers = column.cast(DataType.int64()).to_pylist()
        return [None if us is None else _EPOCH + us * _MICROSECOND for us in numbers]
    return list(column.to_pylist())
