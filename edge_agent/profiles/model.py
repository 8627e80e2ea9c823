"""What a Modbus profile file may say.

A profile describes a platform (one register map), not a brand: several brands sell the same platform. Addresses are 0-based, as they
travel in the request. Every row names the device types that it is read for, because one connection may carry several devices: a hybrid
inverter, its battery and its meter are three devices behind one endpoint.

The parts of a file have modules of their own (`parts`, `rows`, `controls`) and are offered here together.
"""

import hashlib
from decimal import Decimal
from functools import cached_property
from typing import Literal, Self

from pydantic import Field, model_validator

from edge_agent.profiles.controls import ConnectionHints, Control, Gate
from edge_agent.profiles.parts import (
    MAX_REGISTERS_PER_REQUEST,
    Address,
    ExactNumber,
    PollClass,
    ProfilePart,
    ProfileQuality,
    RegisterFunction,
    RegisterType,
    Source,
    Word,
    WordOrder,
    check_unit,
    known_metric,
)
from edge_agent.profiles.rows import Row, SignFrom, When
from shared.enums import DeviceType

__all__ = [
    "FORMAT",
    "MAX_REGISTERS_PER_REQUEST",
    "BusLimits",
    "ConnectionHints",
    "Control",
    "Derived",
    "ExactNumber",
    "Gate",
    "IdentityCheck",
    "PollClass",
    "Profile",
    "ProfilePart",
    "ProfileQuality",
    "RegisterFunction",
    "RegisterType",
    "Row",
    "SignFrom",
    "Source",
    "When",
    "WordOrder",
    "check_unit",
    "known_metric",
]

FORMAT = 1
"""Version of this file format; a file says `format = 1`."""


class Derived(ProfilePart):
    """A value that the agent computes from other values of the same poll; unknown as soon as one of them is.

    A value whose rows do not apply to this device (see `Row.when`) is no part of a sum. Values come in the units in which they are
    kept: a term in W is kept in kW.

    Attributes:
        metric: catalogue key.
        sum: keys of rows, terms or earlier derived values that are added.
        minus: keys that are subtracted.
        product: instead, keys that are multiplied.
        scale: times the result: 0.001 for the kW of volts and amperes.
        clip: `positive` keeps what is above zero, `negative` what is below, with its sign; otherwise the value is 0.
        only_if_missing: fills a metric that no row of this device gave.
    """

    metric: str
    sum: tuple[str, ...] = ()
    minus: tuple[str, ...] = ()
    product: tuple[str, ...] = ()
    scale: ExactNumber = Decimal(1)
    clip: Literal["positive", "negative"] | None = None
    only_if_missing: bool = False
    read_for: tuple[DeviceType, ...] = Field(alias="for", min_length=1)
    note: str = ""

    @property
    def terms(self) -> tuple[str, ...]:
        """Keys of everything that goes in."""
        return (*self.sum, *self.minus, *self.product)

    @model_validator(mode="after")
    def _computes_one_thing(self) -> Self:
        if bool(self.product) == bool(self.sum or self.minus):
            raise ValueError("write either sum and minus, or product")
        if len(self.product) == 1:
            raise ValueError("product has one factor; a product has two or more")
        if self.scale == 0:
            raise ValueError("scale is 0, which would make every value the same; leave it out for 1")
        return self


class IdentityCheck(ProfilePart):
    """A register that tells this platform from others with the same addresses.

    Attributes:
        type: `u16` for a word that must be one of `any_of`, `string` for a text that must start with one of `starts_with`.
        count: registers of a text.
        any_of: raw words that this platform answers.
        starts_with: beginnings of the texts that this platform answers.
        meaning: of the register, for the error text.
    """

    address: Address
    function: RegisterFunction = RegisterFunction.HOLDING
    type: Literal[RegisterType.U16, RegisterType.STRING] = RegisterType.U16
    count: int = Field(default=1, ge=1, le=MAX_REGISTERS_PER_REQUEST)
    any_of: tuple[Word, ...] = ()
    starts_with: tuple[str, ...] = ()
    meaning: str

    @model_validator(mode="after")
    def _can_fail(self) -> Self:
        if self.type is RegisterType.STRING:
            if self.any_of or not self.starts_with or "" in self.starts_with:
                raise ValueError("a text is compared with starts_with, a list of beginnings that are not empty")
        elif not self.any_of or self.starts_with or self.count != 1:
            raise ValueError("a word is compared with any_of, a list of words; a text needs type = 'string' and count")
        return self


class BusLimits(ProfilePart):
    """How the device wants to be asked.

    Attributes:
        max_registers: in one request.
        max_gap: registers that nobody needs, but that the device answers along with the others; how many are worth it depends on the
            line.
        forbidden: first and last address of ranges that no request may touch.
        blocks: first address and count of the only requests that the device answers; empty where it answers any.
        never_start_at: addresses at which no request may begin.
        request_gap_s: silence between two requests.
        timeout_s: after which an answer counts as lost.
    """

    max_registers: int = Field(default=MAX_REGISTERS_PER_REQUEST, ge=1, le=MAX_REGISTERS_PER_REQUEST)
    max_gap: int = Field(default=8, ge=0, le=MAX_REGISTERS_PER_REQUEST)
    forbidden: tuple[tuple[Address, Address], ...] = ()
    blocks: tuple[tuple[Address, int], ...] = ()
    never_start_at: tuple[Address, ...] = ()
    request_gap_s: float = Field(default=0.0, ge=0, le=5)
    timeout_s: float = Field(default=3.0, gt=0, le=60)

    def is_forbidden(self, first: int, end: int) -> bool:
        """Whether the registers from `first` up to, but without, `end` touch a forbidden range."""
        return any(low < end and first <= high for low, high in self.forbidden)

    def start_for(self, first: int) -> int | None:
        """Where a request for the register `first` may begin: there, or the nearest lower address; None where there is none."""
        start = first
        while start in self.never_start_at:
            start -= 1
        return None if start < 0 or (start < first and self.is_forbidden(start, first)) else start

    def is_readable(self, first: int, end: int) -> bool:
        """Whether some request may carry all registers from `first` up to, but without, `end`."""
        if self.is_forbidden(first, end) or not self.is_in_a_block(first, end):
            return False
        start = self.start_for(first)
        return bool(self.blocks) or (start is not None and end - start <= self.max_registers)

    def is_in_a_block(self, first: int, end: int) -> bool:
        """Whether one block holds all registers from `first` up to, but without, `end`; always so where there are no blocks."""
        return not self.blocks or any(low <= first and end <= low + count for low, count in self.blocks)


class Profile(ProfilePart):
    """One platform.

    Attributes:
        name: as in the plan, and the file's name without `.toml`.
        platforms: type designations that speak this map.
        sold_as: brands that sell the platform under their own name.
        connection: what to try first.
        quirks: what surprises, in words.
        controls: what may be written (`control` in the file).
    """

    format: Literal[1]
    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: str
    platforms: tuple[str, ...] = Field(min_length=1)
    sold_as: tuple[str, ...] = ()
    quality: ProfileQuality
    word_order: WordOrder
    connection: ConnectionHints = ConnectionHints()
    bus: BusLimits = BusLimits()
    identity: tuple[IdentityCheck, ...] = ()
    quirks: tuple[str, ...] = ()
    sources: tuple[Source, ...] = Field(min_length=1)
    rows: tuple[Row, ...] = Field(alias="row", min_length=1)
    derived: tuple[Derived, ...] = ()
    controls: tuple[Control, ...] = Field(default=(), alias="control")

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

    @cached_property
    def fingerprint(self) -> str:
        """Changes with everything that the file says."""
        return hashlib.sha256(self.model_dump_json(by_alias=True).encode()).hexdigest()[:16]

    def order_of(self, row: Row) -> WordOrder:
        """Word order of one row."""
        return row.word_order or self.word_order
