"""What a Modbus profile file may say.

A profile describes a platform (one register map), not a brand: several brands sell the same platform. Addresses are 0-based, as they
travel in the request. Every row names the device types that it is read for, because one connection may carry several devices: a hybrid
inverter, its battery and its meter are three devices behind one endpoint.
"""

from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from edge_agent.profiles.units import UnitError, conversion_factor
from shared.enums import DeviceType, OperatingState
from shared.metrics import Metric, MetricKind, UnknownMetricError, metric_of

FORMAT = 1
"""Version of this file format; a file says `format = 1`."""

MAX_REGISTERS_PER_REQUEST = 125
"""Of the Modbus application protocol: a read answer has a one-byte count of bytes."""

Address = Annotated[int, Field(ge=0, le=0xFFFF)]
ExactNumber = Annotated[Decimal, BeforeValidator(str)]
"""A TOML float taken as it is written: 0.1 is a tenth, not the nearest binary fraction."""


def known_metric(key: str) -> Metric:
    """The metric of a key, for validators.

    Raises:
        ValueError: if the catalogue has none.
    """
    try:
        return metric_of(key)
    except UnknownMetricError as error:
        raise ValueError(str(error)) from error


def check_unit(unit: str, metric: Metric) -> None:
    """Whether a device's unit can become the metric's, for validators.

    Raises:
        ValueError: if not.
    """
    try:
        conversion_factor(unit, metric.unit)
    except UnitError as error:
        raise ValueError(str(error)) from error


class ProfilePart(BaseModel):
    """A part of a profile: frozen, and strict about names, because a misspelt option would be silently without effect."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class RegisterFunction(StrEnum):
    """Which of the two register tables: Modbus function 3 or 4."""

    HOLDING = "holding"
    INPUT = "input"


class RegisterType(StrEnum):
    """How the words of a row become a number or a text."""

    U16 = "u16"
    S16 = "s16"
    U32 = "u32"
    S32 = "s32"
    U64 = "u64"
    S64 = "s64"
    F32 = "f32"
    STRING = "string"
    BITFIELD = "bitfield"

    @property
    def fixed_words(self) -> int | None:
        """Registers of one value; None where the row says it with `count`."""
        if self in {RegisterType.STRING, RegisterType.BITFIELD}:
            return None
        return int(self.value[1:]) // 16

    @property
    def is_signed(self) -> bool:
        """Whether the integer is a two's complement number."""
        return self.value.startswith("s") and self is not RegisterType.STRING


class WordOrder(StrEnum):
    """Which word of a long value has the lower address."""

    HIGH_FIRST = "high_first"
    LOW_FIRST = "low_first"


class PollClass(StrEnum):
    """How often a row is read."""

    FAST = "fast"
    """At every poll."""
    SLOW = "slow"
    """At the first poll and then every five minutes: ratings, settings."""


class ProfileQuality(StrEnum):
    """How far a profile has been tried."""

    DRAFT = "draft"
    """From documents only."""
    SIMULATED = "simulated"
    """Reads a recording of a real device as somebody else's software reads it."""
    FIELD_VERIFIED = "field-verified"
    """Compared with the display of a real device on a roof."""


class Row(ProfilePart):
    """One value of the device.

    Attributes:
        metric: catalogue key, with the channel after a dot.
        address: first register.
        addresses: instead of `address`, for values whose words do not lie side by side: all of them, lowest word first or highest first
            as `word_order` says.
        count: registers of a text or bit field.
        word_order: overrides the profile's.
        scale: raw number -> number in `unit`, before `offset`.
        offset: added after scaling, in `unit`.
        sign: 1 or -1; must be written down where the catalogue fixes a direction (grid and battery power, battery current).
        unit: the device's; converted into the metric's.
        sentinels: raw words, as one unsigned number, that mean "not available".
        states: vendor's code -> canonical state. A code that is not listed is `unknown`.
        code_prefix: of the fault codes made from set bits, e.g. `deye_hybrid:F`.
        first_code: number of bit 0.
        range: lowest and highest sane value in the metric's unit; a value outside is kept and the reading is flagged.
        read_for: device types that have this value (`for` in the file).
        note: why the row is as it is.
    """

    metric: str
    address: Address | None = None
    addresses: tuple[Address, ...] = ()
    function: RegisterFunction = RegisterFunction.HOLDING
    type: RegisterType
    count: int | None = Field(default=None, ge=1, le=MAX_REGISTERS_PER_REQUEST)
    word_order: WordOrder | None = None
    scale: ExactNumber = Decimal(1)
    offset: ExactNumber = Decimal(0)
    sign: Literal[1, -1] | None = None
    unit: str | None = None
    sentinels: tuple[int, ...] = ()
    states: dict[int, OperatingState] = {}
    code_prefix: str | None = None
    first_code: int = Field(default=0, ge=0)
    poll: PollClass = PollClass.FAST
    range: tuple[float, float] | None = None
    read_for: tuple[DeviceType, ...] = Field(alias="for", min_length=1)
    note: str = ""

    @cached_property
    def catalogue(self) -> Metric:
        """The metric of `metric`.

        Raises:
            UnknownMetricError: if the catalogue has none.
        """
        return metric_of(self.metric)

    @cached_property
    def words(self) -> tuple[int, ...]:
        """Addresses of all words, in the order in which the row gives them."""
        if self.addresses:
            return self.addresses
        first = self.address or 0
        return tuple(range(first, first + (self.type.fixed_words or self.count or 1)))

    @property
    def first(self) -> int:
        """Lowest address."""
        return min(self.words)

    @property
    def extent(self) -> int:
        """Registers from the lowest to the highest address: what one request must carry so that the value is not torn."""
        return max(self.words) - self.first + 1

    @cached_property
    def factor(self) -> Decimal:
        """From a number in `unit`, sign included, to the metric's unit."""
        return conversion_factor(self.unit or "", self.catalogue.unit) * (self.sign or 1)

    @property
    def is_numeric(self) -> bool:
        """Whether the row gives a number, and so needs a unit."""
        return not self.states and self.type not in {RegisterType.STRING, RegisterType.BITFIELD}

    @model_validator(mode="after")
    def _words_fit_the_type(self) -> Self:
        if (self.address is None) == (not self.addresses):
            raise ValueError("give either address or addresses")
        fixed = self.type.fixed_words
        if fixed is not None and self.count is not None:
            raise ValueError(f"count is {self.count}, but {self.type} always has {fixed} words; leave count out")
        if fixed is None and not self.addresses and self.count is None:
            raise ValueError(f"{self.type} needs count, the number of registers")
        if self.addresses and fixed is not None and len(self.addresses) != fixed:
            raise ValueError(f"addresses has {len(self.addresses)} entries, but {self.type} has {fixed} words")
        if max(self.words) > 0xFFFF:
            raise ValueError(f"the value would end at {max(self.words)}, beyond register 65535")
        return self

    @model_validator(mode="after")
    def _means_what_the_metric_is(self) -> Self:
        metric = known_metric(self.metric)
        for device_type in self.read_for:
            if device_type not in metric.device_types:
                known = ", ".join(sorted(metric.device_types))
                raise ValueError(f"for has {device_type.value!r}, but {metric.name} exists for: {known}")
        if self.states and metric.name != "operating_state":
            raise ValueError(f"states belongs to operating_state, not to {metric.name}")
        if metric.name == "operating_state" and not self.states:
            raise ValueError("operating_state needs states: the vendor's codes and what they mean")
        if (self.type is RegisterType.BITFIELD) != (self.code_prefix is not None):
            raise ValueError("a bitfield needs code_prefix, and only a bitfield has one")
        if not self.is_numeric and metric.kind is not MetricKind.STATE:
            raise ValueError(f"{self.type} cannot give {metric.name}, which is a number in {metric.unit}")
        if self.is_numeric and self.unit is None:
            raise ValueError(f"unit is missing: say what the device counts in ({metric.name} is kept in {metric.unit})")
        if self.is_numeric and self.scale == 0:
            raise ValueError("scale is 0, which would make every value the same; leave it out for 1")
        return self

    @model_validator(mode="after")
    def _converts(self) -> Self:
        if self.is_numeric:
            check_unit(self.unit or "", self.catalogue)
        return self


class Derived(ProfilePart):
    """A value that the agent adds up from other values of the same poll; unknown as soon as one of them is.

    Attributes:
        metric: catalogue key.
        sum: keys of rows that are added, in the metric's unit.
    """

    metric: str
    sum: tuple[str, ...] = Field(min_length=2)
    read_for: tuple[DeviceType, ...] = Field(alias="for", min_length=1)
    note: str = ""


class IdentityCheck(ProfilePart):
    """A register that tells this platform from others with the same addresses.

    Attributes:
        any_of: raw words that this platform answers.
        meaning: of the register, for the error text.
    """

    address: Address
    function: RegisterFunction = RegisterFunction.HOLDING
    any_of: tuple[int, ...] = Field(min_length=1)
    meaning: str


class BusLimits(ProfilePart):
    """How the device wants to be asked.

    Attributes:
        max_registers: in one request.
        max_gap: registers that nobody needs, but that cost less to read than another request.
        forbidden: first and last address of ranges that no request may touch.
        request_gap_s: silence between two requests.
        timeout_s: after which an answer counts as lost.
    """

    max_registers: int = Field(default=MAX_REGISTERS_PER_REQUEST, ge=1, le=MAX_REGISTERS_PER_REQUEST)
    max_gap: int = Field(default=8, ge=0, le=MAX_REGISTERS_PER_REQUEST)
    forbidden: tuple[tuple[Address, Address], ...] = ()
    request_gap_s: float = Field(default=0.0, ge=0, le=5)
    timeout_s: float = Field(default=3.0, gt=0, le=60)


class Source(ProfilePart):
    """Where the facts come from."""

    title: str
    url: str = ""
    note: str = ""


class Profile(ProfilePart):
    """One platform.

    Attributes:
        name: as in the plan, and the file's name without `.toml`.
        platforms: type designations that speak this map.
        sold_as: brands that sell the platform under their own name.
        quirks: what surprises, in words.
    """

    format: Literal[1]
    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: str
    platforms: tuple[str, ...] = Field(min_length=1)
    sold_as: tuple[str, ...] = ()
    quality: ProfileQuality
    word_order: WordOrder
    bus: BusLimits = BusLimits()
    identity: tuple[IdentityCheck, ...] = ()
    quirks: tuple[str, ...] = ()
    sources: tuple[Source, ...] = Field(min_length=1)
    rows: tuple[Row, ...] = Field(alias="row", min_length=1)
    derived: tuple[Derived, ...] = ()

    def rows_for(self, device_type: DeviceType) -> tuple[Row, ...]:
        """Rows read for a device of this type, in the file's order."""
        return tuple(row for row in self.rows if device_type in row.read_for)

    def derived_for(self, device_type: DeviceType) -> tuple[Derived, ...]:
        """Derived values of a device of this type."""
        return tuple(derived for derived in self.derived if device_type in derived.read_for)

    @property
    def device_types(self) -> tuple[DeviceType, ...]:
        """Types that have at least one row, in alphabetical order."""
        return tuple(sorted({device_type for row in self.rows for device_type in row.read_for}))

    def order_of(self, row: Row) -> WordOrder:
        """Word order of one row."""
        return row.word_order or self.word_order
