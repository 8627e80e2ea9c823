"""What a mapping file says: how an earlier system's CSV is written, and which of its columns are which metrics of which devices."""

import difflib
import tomllib
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from cloud.ingest.importing.errors import MappingError
from cloud.ingest.importing.units import Conversion, UnknownUnitError, conversion
from cloud.ingest.rules import TEXT_COLUMNS
from shared.enums import OperatingState
from shared.metrics import METRICS, MetricKind, UnknownMetricError, metric_of
from shared.periods import UnknownZoneError, zone_of

MISSING = ("", "-", "--", "NA", "N/A", "NaN", "null", "None")
"""Cells that mean "no value" unless the mapping says otherwise; capitals do not matter."""

_SAMPLE_MOMENT = datetime(2001, 12, 23, 13, 45, 56, tzinfo=UTC)


class Fold(StrEnum):
    """Which of the two moments a local time stands for that a clock set back shows twice."""

    REJECT = "reject"
    FIRST = "first"
    SECOND = "second"
    IN_ORDER = "in_order"
    """The second as soon as the first would go back in time: for files written in the order of time."""


class Unmapped(StrEnum):
    """What becomes of a row of a long file whose metric the mapping does not name."""

    REJECT = "reject"
    IGNORE = "ignore"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FileForm(_Part):
    """How the files are written."""

    encoding: str = "utf-8-sig"
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    quote: str = Field(default='"', min_length=1, max_length=1)
    decimal: Literal[".", ","] = "."
    thousands: Literal["", ".", ",", " ", "'"] = ""
    skip_rows: int = Field(default=0, ge=0, le=1000)
    header: bool = True
    missing: tuple[str, ...] = MISSING

    @field_validator("encoding")
    @classmethod
    def _encoding_is_known(cls, encoding: str) -> str:
        try:
            "".encode(encoding)
        except LookupError as error:
            raise ValueError('is no text encoding; write "utf-8-sig", "cp1252" or "utf-16", for instance') from error
        return encoding

    @model_validator(mode="after")
    def _signs_differ(self) -> Self:
        if self.thousands == self.decimal:
            raise ValueError(f"decimal and thousands are both {self.decimal!r}; they must differ")
        if self.delimiter == self.quote:
            raise ValueError(f"delimiter and quote are both {self.quote!r}; they must differ")
        return self


class TimeForm(_Part):
    """Where a row's moment stands and how it is written.

    Attributes:
        format: `iso`, `unix_s`, `unix_ms`, or a pattern of `strptime` (`%d.%m.%Y %H:%M`).
        zone: IANA name; needed where the text carries no offset of its own.
    """

    column: str | None = None
    columns: tuple[str, str] | None = None
    """Date and time apart; read as one text with a blank between."""
    format: str = "iso"
    zone: str | None = None
    fold: Fold = Fold.REJECT

    @field_validator("zone")
    @classmethod
    def _zone_is_known(cls, zone: str | None) -> str | None:
        if zone is not None:
            try:
                zone_of(zone)
            except UnknownZoneError as error:
                raise ValueError(str(error)) from error
        return zone

    @field_validator("format")
    @classmethod
    def _format_keeps_the_date(cls, form: str) -> str:
        if form in {"iso", "unix_s", "unix_ms"}:
            return form
        try:
            read = datetime.strptime(_SAMPLE_MOMENT.strftime(form), form)  # noqa: DTZ007 -- only to see what it keeps
        except ValueError as error:
            raise ValueError('is neither "iso", "unix_s", "unix_ms" nor a pattern like "%d.%m.%Y %H:%M"') from error
        if (read.year, read.month, read.day) != (2001, 12, 23) or read.hour % 12 != 1:
            raise ValueError('loses the date or the hour; a pattern needs year, month, day and hour: "%Y-%m-%d %H:%M"')
        if read.hour != _SAMPLE_MOMENT.hour:
            raise ValueError("has twelve hours without %p; write %H, or %I with %p")
        return form

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if (self.column is None) == (self.columns is None):
            raise ValueError("has to name either column, or columns = [date, time]")
        if "%" in self.format and "%z" not in self.format and self.zone is None:
            raise ValueError('zone is missing: the pattern tells no offset; write zone = "Asia/Karachi", for instance')
        return self

    @property
    def sources(self) -> tuple[str, ...]:
        """The columns to read."""
        return self.columns or (self.column or "",)


class DeviceForm(_Part):
    """Whose readings they are: one device, or the one that a column names.

    Attributes:
        ref: serial number, name or id of a device of the site.
        names: what stands in the column -> serial number, name or id; anything else is taken as one of these itself.
    """

    ref: str | None = None
    column: str | None = None
    names: dict[str, str] = {}

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if (self.ref is None) == (self.column is None):
            raise ValueError("has to name either ref (one device) or column (where each row names its own)")
        if self.names and self.column is None:
            raise ValueError("names is of use only together with column")
        return self


class LongForm(_Part):
    """A file with one value in each row."""

    metric_column: str
    value_column: str
    unmapped: Unmapped = Unmapped.REJECT


class ValueForm(_Part):
    """One column of a wide file, or one kind of row of a long one.

    A number in the file becomes sign * (number * scale + offset) in `unit`, and is then converted to the metric's unit.

    Attributes:
        source: the column's name, or what stands in the metric column of a long file.
        sentinels: numbers as they stand in the file that mean "no value".
        words: what stands in the file -> word of the metric, for `operating_state`.
        device: of this column alone; else that of `[device]`.
    """

    source: str
    metric: str
    unit: str | None = None
    scale: Decimal = Field(default=Decimal(1), allow_inf_nan=False)
    offset: Decimal = Field(default=Decimal(0), allow_inf_nan=False)
    sign: Literal[1, -1] = 1
    sentinels: tuple[Decimal, ...] = ()
    words: dict[str, str] = {}
    device: str | None = None

    @field_validator("metric")
    @classmethod
    def _metric_is_known(cls, metric: str) -> str:
        try:
            found = metric_of(metric)
        except UnknownMetricError as error:
            near = difflib.get_close_matches(metric, METRICS, n=3, cutoff=0.5)
            raise ValueError(f"{error}" + (f"; near to it are {', '.join(near)}" if near else "")) from error
        if found.kind is MetricKind.ATTRIBUTE:
            raise ValueError("is a property of the device, not a reading; set it on the device")
        name, dot, channel = metric.partition(".")
        return metric_of(name).name + dot + channel

    @model_validator(mode="after")
    def _fits_the_metric(self) -> Self:
        if self.is_text:
            numbers = {"unit", "scale", "offset", "sign", "sentinels"} & self.model_fields_set
            if numbers:
                raise ValueError(f"{min(numbers)} is for numbers; {self.metric!r} is a word")
        elif self.words:
            raise ValueError(f"words are for operating_state and fault_codes; {self.metric!r} is a number")
        if self.scale == 0:
            raise ValueError("scale is 0: every value would be the same; leave it out or give another")
        if self.metric == "operating_state":
            unknown = sorted(set(self.words.values()) - set(OperatingState))
            if unknown:
                raise ValueError(f"words lead to {unknown[0]!r}, which is none of {', '.join(OperatingState)}")
        try:
            self.conversion  # noqa: B018 -- to say it now
        except UnknownUnitError as error:
            raise ValueError(f"unit {error}") from error
        return self

    @property
    def is_text(self) -> bool:
        """Whether it is a word rather than a number."""
        return self.metric in TEXT_COLUMNS

    @property
    def conversion(self) -> Conversion:
        """From the file's unit to the metric's."""
        to = metric_of(self.metric).unit
        return conversion(self.unit or to, to=to)


class ImportMapping(_Part):
    """A whole mapping file."""

    time: TimeForm
    values: tuple[ValueForm, ...] = Field(min_length=1)
    device: DeviceForm | None = None
    file: FileForm = FileForm()
    long: LongForm | None = None

    @model_validator(mode="after")
    def _values_have_places(self) -> Self:
        targets: set[tuple[str | None, str]] = set()
        sources: set[str] = set()
        for number, value in enumerate(self.values):
            if value.device is None and self.device is None:
                raise ValueError(f"values.{number} names no device, and there is no [device]; add one of the two")
            if (value.device, value.metric) in targets:
                raise ValueError(
                    f"values.{number} is {value.metric!r} again for the same device; name each metric once"
                )
            if self.long and value.source in sources:
                raise ValueError(f"values.{number} has the source {value.source!r} again; name each once")
            targets.add((value.device, value.metric))
            sources.add(value.source)
        return self

    @property
    def device_refs(self) -> tuple[str, ...]:
        """Every device that is named here, rather than in the files."""
        of_columns = [value.device for value in self.values if value.device is not None]
        of_rows = [] if self.device is None else [self.device.ref, *self.device.names.values()]
        return tuple(dict.fromkeys(ref for ref in (*of_columns, *of_rows) if ref is not None))

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that the files must have."""
        device = (self.device.column,) if self.device and self.device.column else ()
        if self.long:
            return (*self.time.sources, *device, self.long.metric_column, self.long.value_column)
        return (*self.time.sources, *device, *dict.fromkeys(value.source for value in self.values))


_SECTIONS: dict[str, type[BaseModel]] = {
    "time": TimeForm,
    "values": ValueForm,
    "device": DeviceForm,
    "file": FileForm,
    "long": LongForm,
}


def load_mapping(path: Path) -> ImportMapping:
    """Read a mapping file.

    Raises:
        MappingError: naming every wrong key, its value and what would be right.
    """
    try:
        return parse_mapping(path.read_text(encoding="utf-8"), name=str(path))
    except OSError as error:
        raise MappingError(f"the mapping {str(path)!r} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise MappingError(f"the mapping {str(path)!r} is not UTF-8 ({error.reason}); save it as UTF-8") from error


def parse_mapping(text: str, *, name: str) -> ImportMapping:
    """Read a mapping from its text; `name` is for messages.

    Raises:
        MappingError: as `load_mapping`.
    """
    try:
        return ImportMapping.model_validate(tomllib.loads(text, parse_float=Decimal))
    except tomllib.TOMLDecodeError as error:
        raise MappingError(f"the mapping {name!r} is no TOML: {error}") from error
    except ValidationError as error:
        problems = "; ".join(
            _explained(problem["loc"], problem["type"], problem["msg"], problem["input"])
            for problem in error.errors(include_url=False)
        )
        raise MappingError(f"the mapping {name!r}: {problems}") from error


def _explained(loc: tuple[int | str, ...], kind: str, message: str, given: object) -> str:
    place = ".".join(str(part) for part in loc) or "the file"
    if kind == "missing":
        return f"{place} is missing"
    if kind == "extra_forbidden":
        model = _SECTIONS.get(str(loc[0]), ImportMapping) if len(loc) > 1 else ImportMapping
        return f"{place} is not known; known are {', '.join(model.model_fields)}"
    return f"{place}{_shown(given)}: {message.removeprefix('Value error, ')}"


def _shown(value: object) -> str:
    if isinstance(value, dict | list | tuple) or value is None:
        return ""
    return f" is {str(value)!r}" if isinstance(value, Decimal) else f" is {value!r}"
