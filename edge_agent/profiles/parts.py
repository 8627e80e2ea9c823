"""The words that every kind of profile file uses: addresses, register types, exact numbers, sources."""

from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from edge_agent.profiles.units import UnitError, conversion_factor
from shared.metrics import Metric, UnknownMetricError, metric_of

MAX_REGISTERS_PER_REQUEST = 125
"""Of the Modbus application protocol: a read answer has a one-byte count of bytes."""

Address = Annotated[int, Field(ge=0, le=0xFFFF)]
Word = Annotated[int, Field(ge=0, le=0xFFFF)]
"""A register's content as it travels."""

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
    U8_HIGH = "u8_high"
    """The upper byte of one register."""
    U8_LOW = "u8_low"
    ACC32 = "acc32"
    """A counter whose 0 means "not available"."""
    ACC64 = "acc64"
    S32_OR_S16 = "s32_or_s16"
    """Two words of which some devices fill only the lower one: where the higher is 0xFFFF, or 0 beside a lower one with its top bit set,
    the lower word alone is the number. For quantities that stay within ±32,767."""
    STRING = "string"
    BITFIELD = "bitfield"

    @property
    def fixed_words(self) -> int | None:
        """Registers of one value; None where the row says it with `count`."""
        return _WORDS.get(self)

    @property
    def is_signed(self) -> bool:
        """Whether the integer is a two's complement number."""
        return self in _SIGNED

    @property
    def is_byte(self) -> bool:
        """Whether the value fills half a register."""
        return self in {RegisterType.U8_HIGH, RegisterType.U8_LOW}

    @property
    def zero_is_missing(self) -> bool:
        """Whether the type itself says that 0 is no value."""
        return self in {RegisterType.ACC32, RegisterType.ACC64}


_WORDS = {
    RegisterType.U16: 1,
    RegisterType.S16: 1,
    RegisterType.U8_HIGH: 1,
    RegisterType.U8_LOW: 1,
    RegisterType.U32: 2,
    RegisterType.S32: 2,
    RegisterType.F32: 2,
    RegisterType.ACC32: 2,
    RegisterType.S32_OR_S16: 2,
    RegisterType.U64: 4,
    RegisterType.S64: 4,
    RegisterType.ACC64: 4,
}
_SIGNED = frozenset({RegisterType.S16, RegisterType.S32, RegisterType.S64, RegisterType.S32_OR_S16})


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


class Source(ProfilePart):
    """Where the facts come from."""

    title: str
    url: str = ""
    note: str = ""
