"""From rows to readings: a wide row is a reading of each of its devices; a long file's rows of one moment make one."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from cloud.ingest.importing.cells import CellReader, cell_reader
from cloud.ingest.importing.devices import Devices, named_device
from cloud.ingest.importing.errors import ImportRefusedError, UnreadableError
from cloud.ingest.importing.mapping import ImportMapping, LongForm, Unmapped, ValueForm
from cloud.ingest.importing.moments import Moments
from cloud.ingest.importing.table import Row, Table
from shared.readings import Value


@dataclass(frozen=True, slots=True)
class ImportedReading:
    """One device at one moment.

    Attributes:
        line: where it stands, of several rows the first.
        values: metric key -> value in the metric's unit.
    """

    line: int
    device_id: UUID
    at: datetime
    values: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that cannot be read, and why."""

    row: Row
    reason: str


@dataclass(frozen=True, slots=True)
class Step:
    """What came of reading one row on; the last one of a file has no row.

    Attributes:
        rows: 1, or 0 for the end of the file.
        ignored: 1 if the mapping asks to leave this row out.
    """

    rows: int = 1
    readings: tuple[ImportedReading, ...] = ()
    rejected: RejectedRow | None = None
    ignored: int = 0


@dataclass(frozen=True, slots=True)
class _Column:
    """A value of a wide row."""

    place: int
    key: str
    read: CellReader
    device_id: UUID | None


@dataclass(slots=True)
class _Open:
    """A moment of a device in a long file, while its rows come in."""

    line: int
    at: datetime
    values: dict[str, Value] = field(default_factory=dict)


def read_steps(table: Table, mapping: ImportMapping, devices: Devices) -> Iterator[Step]:
    """Read a file to its end, row by row.

    Raises:
        ImportRefusedError: if the file has not the columns that the mapping names, or the site not its devices.
    """
    reader = _reader(table, mapping, devices)
    for row in table.rows():
        try:
            table.check(row)
            step = reader.read(row)
        except UnreadableError as error:
            step = Step(rejected=RejectedRow(row, str(error)))
        yield step
    yield Step(rows=0, readings=reader.rest())


def check_columns(table: Table, mapping: ImportMapping, devices: Devices) -> None:
    """See that a file has the columns that the mapping names, and the site its devices, before anything is written.

    Raises:
        ImportRefusedError: if not.
    """
    _reader(table, mapping, devices)


def _reader(table: Table, mapping: ImportMapping, devices: Devices) -> "_WideRows | _LongRows":
    head = _Head(table, mapping, devices)
    return _WideRows(head) if mapping.long is None else _LongRows(head, mapping.long)


class _Head:
    """What every row begins with: its moment and its device."""

    def __init__(self, table: Table, mapping: ImportMapping, devices: Devices) -> None:
        self.table = table
        self.mapping = mapping
        self.devices = devices
        self._moments = Moments(mapping.time, is_long=mapping.long is not None)
        self._time_places = [table.index_of(column) for column in mapping.time.sources]
        column = mapping.device.column if mapping.device else None
        self._device_place = None if column is None else table.index_of(column)
        for named in mapping.device_refs:
            self.device_id(named)
        ref = mapping.device.ref if mapping.device else None
        self._fixed = None if ref is None else self.device_id(ref)

    def device_id(self, ref: str) -> UUID:
        """The device that the mapping names."""
        try:
            return self.devices.find(ref).id
        except UnreadableError as error:
            raise ImportRefusedError(f"the mapping: {error}") from error

    def read(self, row: Row) -> tuple[datetime, UUID | None]:
        """Moment and device of a row; None for the device where each value has its own."""
        cell = "" if self._device_place is None else row.cells[self._device_place]
        device_id = self._fixed
        if self._device_place is not None and self.mapping.device is not None:
            device_id = named_device(self.mapping.device, cell, self.devices).id
        return self._moments.read(" ".join(row.cells[place] for place in self._time_places), series=cell), device_id


class _WideRows:
    def __init__(self, head: _Head) -> None:
        self._head = head
        mapping = head.mapping
        self._columns = [
            _Column(
                head.table.index_of(value.source),
                value.metric,
                cell_reader(value, mapping.file),
                None if value.device is None else head.device_id(value.device),
            )
            for value in mapping.values
        ]

    def read(self, row: Row) -> Step:
        at, device_id = self._head.read(row)
        found: dict[UUID, dict[str, Value]] = {}
        for column in self._columns:
            owner = column.device_id or device_id
            if owner is not None:  # the mapping was checked: one of the two is there
                found.setdefault(owner, {})[column.key] = column.read(row.cells[column.place])
        return Step(readings=tuple(ImportedReading(row.line, owner, at, values) for owner, values in found.items()))

    def rest(self) -> tuple[ImportedReading, ...]:
        """Nothing: a row stands for itself."""
        return ()


class _LongRows:
    """Gathers rows of one device and moment that stand together; other devices' rows may stand between.

    A device's moments must follow each other in one direction: a moment that came back would be a second reading of the same moment,
    and be lost.
    """

    def __init__(self, head: _Head, form: LongForm) -> None:
        self._head = head
        self._form = form
        self._metric_place = head.table.index_of(form.metric_column)
        self._value_place = head.table.index_of(form.value_column)
        self._values = {value.source: self._reader(value) for value in head.mapping.values}
        self._open: dict[UUID, _Open] = {}
        self._ascends: dict[UUID, bool] = {}

    def _reader(self, value: ValueForm) -> tuple[str, CellReader, UUID | None]:
        owner = None if value.device is None else self._head.device_id(value.device)
        return value.metric, cell_reader(value, self._head.mapping.file), owner

    def read(self, row: Row) -> Step:
        word = row.cells[self._metric_place]
        found = self._values.get(word)
        if found is None:
            if self._form.unmapped is Unmapped.IGNORE:
                return Step(ignored=1)
            raise UnreadableError(
                f"{self._form.metric_column!r} is {word!r}, which no value of the mapping names; add it, or set"
                ' long.unmapped = "ignore"'
            )
        key, read, own = found
        at, named = self._head.read(row)
        device_id = own or named
        if device_id is None:
            raise UnreadableError("the row names no device")
        value = read(row.cells[self._value_place])
        closed = self._closed_by(device_id, at, row)
        group = self._open.setdefault(device_id, _Open(row.line, at))
        if key in group.values:
            raise UnreadableError(f"{key!r} stands twice for {at.isoformat()}; the first one is taken")
        group.values[key] = value
        return Step(readings=closed)

    def rest(self) -> tuple[ImportedReading, ...]:
        """What is open at the end of the file."""
        return tuple(self._reading(device_id, group) for device_id, group in self._open.items())

    def _closed_by(self, device_id: UUID, at: datetime, row: Row) -> tuple[ImportedReading, ...]:
        """The device's moment before, if this row begins another one."""
        group = self._open.get(device_id)
        if group is None or group.at == at:
            return ()
        if self._ascends.setdefault(device_id, at > group.at) != (at > group.at):
            raise ImportRefusedError(
                f"the file {str(self._head.table.path)!r} turns from {group.at.isoformat()} back to {at.isoformat()} in line"
                f" {row.line}: rows of one moment must stand together; sort the file by time first"
            )
        del self._open[device_id]
        return (self._reading(device_id, group),)

    def _reading(self, device_id: UUID, group: _Open) -> ImportedReading:
        return ImportedReading(group.line, device_id, group.at, group.values)
