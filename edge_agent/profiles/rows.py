"""One value of a device: where it lies, what its words mean, when it is there at all."""

from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from math import lcm
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from edge_agent.profiles.parts import (
    MAX_REGISTERS_PER_REQUEST,
    Address,
    ExactNumber,
    PollClass,
    ProfilePart,
    RegisterFunction,
    RegisterType,
    Word,
    WordOrder,
    known_metric,
)
from edge_agent.profiles.units import UnitError, catalogue_unit, conversion
from shared.enums import DeviceType, OperatingState
from shared.metrics import Metric, MetricKind, metric_of


class When(ProfilePart):
    """A register that says whether a row applies: by listed words, by one bit, or by bounds. Raw words, before any scaling.

    Attributes:
        any_of: words with which the row applies.
        bit: number of the bit that decides, 0 the lowest; with `is` (`expected`).
        at_least: lowest word with which the row applies.
        at_most: highest.
        poll: `slow` for what a device is, `fast` for what it does now.
        or_unknown: the row applies too where the device refuses the register.
    """

    address: Address
    function: RegisterFunction = RegisterFunction.HOLDING
    any_of: tuple[Word, ...] = ()
    bit: int | None = Field(default=None, ge=0, le=15)
    expected: Literal[0, 1] | None = Field(default=None, alias="is")
    at_least: Word | None = None
    at_most: Word | None = None
    poll: PollClass = PollClass.SLOW
    or_unknown: bool = False

    @property
    def place(self) -> tuple[RegisterFunction, int]:
        """The register that decides."""
        return self.function, self.address

    def holds(self, word: int) -> bool:
        """Whether the row applies when the register contains this."""
        if self.any_of:
            return word in self.any_of
        if self.bit is not None:
            return word >> self.bit & 1 == self.expected
        return self._low <= word <= self._high

    def excludes(self, other: "When") -> bool:
        """Whether no content of the register, nor its absence, fits both."""
        if self.place != other.place or (self.or_unknown and other.or_unknown):
            return False
        return not any(
            self.holds(word) and other.holds(word) for word in (*self._witnesses(other), *other._witnesses(self))
        )

    @property
    def _low(self) -> int:
        return 0 if self.at_least is None else self.at_least

    @property
    def _high(self) -> int:
        return 0xFFFF if self.at_most is None else self.at_most

    def _witnesses(self, other: "When") -> tuple[int, ...]:
        """Words of which one fits both conditions if any word does."""
        if self.any_of:
            return self.any_of
        if self.bit is not None and other.bit is not None:
            return tuple(one << self.bit | two << other.bit for one in (0, 1) for two in (0, 1))
        if self.bit is not None:
            return ()  # the bounds or the list of the other side have them
        step = 1 << (other.bit or 0)  # a bit changes at multiples of its weight
        return tuple(word for word in (self._low, (self._low // step + 1) * step, other._low) if word <= 0xFFFF)

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        by_bit = self.bit is not None or self.expected is not None
        by_bounds = self.at_least is not None or self.at_most is not None
        if [bool(self.any_of), by_bit, by_bounds].count(True) != 1:
            raise ValueError(
                "a condition is any_of, or bit with is, or at_least/at_most: write exactly one of the three"
            )
        if (self.bit is None) != (self.expected is None):
            raise ValueError("bit and is belong together: write bit = 3, is = 1")
        if self._low > self._high:
            raise ValueError(f"at_least = {self._low} is above at_most = {self._high}; no word would fit")
        return self


class SignFrom(ProfilePart):
    """A register that gives a number its sign: a bit of it, or listed words of it, make the number negative.

    Attributes:
        bit: number of the bit that decides, 0 the lowest; with `negative_when`.
        negative_when: content of the bit that makes the number negative.
        negative_when_any_of: instead of a bit, words that make the number negative.
    """

    address: Address
    function: RegisterFunction = RegisterFunction.HOLDING
    bit: int | None = Field(default=None, ge=0, le=15)
    negative_when: Literal[0, 1] | None = None
    negative_when_any_of: tuple[Word, ...] = ()

    @property
    def place(self) -> tuple[RegisterFunction, int]:
        """The register that decides."""
        return self.function, self.address

    def is_negative(self, word: int) -> bool:
        """Whether the register's content makes the number negative."""
        if self.negative_when_any_of:
            return word in self.negative_when_any_of
        return word >> (self.bit or 0) & 1 == self.negative_when

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if (self.bit is None) != (self.negative_when is None):
            raise ValueError("bit and negative_when belong together: write bit = 0, negative_when = 1")
        if (self.bit is None) == (not self.negative_when_any_of):
            raise ValueError("write either bit with negative_when, or negative_when_any_of")
        return self


_CODE_TYPES = frozenset({RegisterType.BITFIELD, RegisterType.U16, RegisterType.U32})


def _listed(value: object) -> object:
    return [value] if isinstance(value, dict) else value


Conditions = Annotated[tuple[When, ...], BeforeValidator(_listed)]
"""One table, or a list of tables that must all hold."""


class Row(ProfilePart):
    """One value of the device.

    Attributes:
        metric: catalogue key, with the channel after a dot.
        term: instead of `metric`, a name of the file's own: a number that is not shown, but that `[[derived]]` uses.
        address: first register.
        addresses: instead of `address`, for values whose words do not lie side by side: all of them, lowest word first or highest first
            as `word_order` says.
        count: registers of a text or bit field.
        word_order: overrides the profile's.
        scale: raw number -> number in `unit`, before `offset`.
        offset: added after scaling, in `unit`.
        sign: 1 or -1; must be written down where the catalogue fixes a direction (grid and battery power, battery current).
        sign_from: register that gives the sign, read in the same poll.
        unit: the device's; converted into the metric's.
        sentinels: raw words, as one unsigned number, that mean "not available".
        max_raw: raw numbers above mean "not available"; of a signed type, a negative number is below.
        zero_is_missing: a raw 0 means "not available".
        states: vendor's code -> canonical state. A code that is not listed is `unknown`.
        code_prefix: of the fault codes, e.g. `deye_hybrid:F`: made from the set bits of a bit field, or from an unsigned number that is one
            code itself, with 0 for none.
        first_code: number of bit 0.
        range: lowest and highest sane value in the metric's unit; a value outside is kept and the reading is flagged.
        range_of_rated: the same in parts of the device's rated power, where the plan names it.
        when: conditions that must all hold for the row to apply; rows of one metric with conditions that exclude each other may coexist.
        together: rows with the same name here must come in one answer.
        alone: the row's request carries nothing else.
        read_for: device types that have this value (`for` in the file).
        note: why the row is as it is.
    """

    metric: str = ""
    term: str = Field(default="", pattern=r"^([a-z][a-z0-9_]*)?$")
    address: Address | None = None
    addresses: tuple[Address, ...] = ()
    function: RegisterFunction = RegisterFunction.HOLDING
    type: RegisterType
    count: int | None = Field(default=None, ge=1, le=MAX_REGISTERS_PER_REQUEST)
    word_order: WordOrder | None = None
    scale: ExactNumber = Decimal(1)
    offset: ExactNumber = Decimal(0)
    sign: Literal[1, -1] | None = None
    sign_from: SignFrom | None = None
    unit: str | None = None
    sentinels: tuple[int, ...] = ()
    max_raw: int | None = Field(default=None, ge=0)
    zero_is_missing: bool = False
    states: dict[int, OperatingState] = Field(default_factory=dict)
    code_prefix: str | None = None
    first_code: int = Field(default=0, ge=0)
    poll: PollClass = PollClass.FAST
    range: tuple[float, float] | None = None
    range_of_rated: tuple[float, float] | None = None
    when: Conditions = ()
    together: str = ""
    alone: bool = False
    read_for: tuple[DeviceType, ...] = Field(alias="for", min_length=1)
    note: str = ""

    @cached_property
    def key(self) -> str:
        """Name of the value: the metric's key, or the term."""
        return self.metric or self.term

    @cached_property
    def catalogue(self) -> Metric:
        """The metric of `metric`.

        Raises:
            UnknownMetricError: if the row gives a term.
        """
        return metric_of(self.metric)

    @cached_property
    def kept_unit(self) -> str:
        """Unit of the decoded number: the metric's, or for a term the one in which the catalogue keeps such quantities."""
        return self.catalogue.unit if self.metric else catalogue_unit(self.unit or "")

    @cached_property
    def words(self) -> tuple[int, ...]:
        """Addresses of all words, in the order in which the row gives them."""
        if self.addresses:
            return self.addresses
        first = self.address or 0
        return tuple(range(first, first + (self.type.fixed_words or self.count or 1)))

    @cached_property
    def first(self) -> int:
        """Lowest address."""
        return min(self.words)

    @property
    def end(self) -> int:
        """First address after the highest."""
        return max(self.words) + 1

    @property
    def extent(self) -> int:
        """Registers from the lowest to the highest address: what one request must carry so that the value is not torn."""
        return self.end - self.first

    @cached_property
    def factor(self) -> Decimal:
        """From a number in `unit`, sign included, to the kept unit."""
        return conversion(self.unit or "", self.kept_unit)[0] * (self.sign or 1)

    @cached_property
    def shift(self) -> Decimal:
        """Added to a number in `unit` before `factor`: `offset`, and where the unit's zero lies elsewhere."""
        return self.offset + conversion(self.unit or "", self.kept_unit)[1]

    @cached_property
    def line(self) -> tuple[int, int, int]:
        """Slope, base and divisor: (raw x slope + base) / divisor is the kept number, rounded once and so exact to the last bit."""
        slope = Fraction(self.scale) * Fraction(self.factor)
        base = Fraction(self.shift) * Fraction(self.factor)
        divisor = lcm(slope.denominator, base.denominator)
        return int(slope * divisor), int(base * divisor), divisor

    @cached_property
    def missing(self) -> frozenset[int]:
        """Raw words, as one unsigned number, that mean "not available"."""
        return frozenset(self.sentinels) | ({0} if self.zero_is_missing or self.type.zero_is_missing else frozenset())

    @property
    def is_numeric(self) -> bool:
        """Whether the row gives a number, and so needs a unit."""
        return not self.states and self.code_prefix is None and self.type is not RegisterType.STRING

    def excludes(self, other: "Row") -> bool:
        """Whether the two rows never apply at the same time."""
        return any(one.excludes(two) for one in self.when for two in other.when)

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
        if (not self.metric) == (not self.term):
            raise ValueError("give either metric, or term for a number that only [[derived]] uses")
        if self.states and self.metric != "operating_state":
            raise ValueError(f"states belongs to operating_state, not to {self.key}")
        if self.type is RegisterType.BITFIELD and self.code_prefix is None:
            raise ValueError("a bitfield needs code_prefix, the text before the number of each bit")
        if self.code_prefix is not None and (self.metric != "fault_codes" or self.type not in _CODE_TYPES):
            raise ValueError(
                f"code_prefix is for fault_codes: only a bitfield has one, or an unsigned number that is a code, not {self.key}"
            )
        if self.metric:
            self._check_metric(known_metric(self.metric))
        elif not self.is_numeric:
            raise ValueError(f"{self.type} cannot give {self.term}, which is to be a number for [[derived]]")
        if self.is_numeric and self.unit is None:
            kept = f" ({self.catalogue.name} is kept in {self.catalogue.unit})" if self.metric else ""
            raise ValueError(f"unit is missing: say what the device counts in{kept}")
        if self.is_numeric and self.scale == 0:
            raise ValueError("scale is 0, which would make every value the same; leave it out for 1")
        if self.sign_from is not None and not self.is_numeric:
            raise ValueError(f"sign_from gives a number its sign, but {self.type} gives no number here")
        return self

    def _check_metric(self, metric: Metric) -> None:
        for device_type in self.read_for:
            if device_type not in metric.device_types:
                known = ", ".join(sorted(metric.device_types))
                raise ValueError(f"for has {device_type.value!r}, but {metric.name} exists for: {known}")
        if metric.name == "operating_state" and not self.states:
            raise ValueError("operating_state needs states: the vendor's codes and what they mean")
        if not self.is_numeric and metric.kind is not MetricKind.STATE:
            raise ValueError(f"{self.type} cannot give {metric.name}, which is a number in {metric.unit}")

    @model_validator(mode="after")
    def _converts(self) -> Self:
        if self.is_numeric:
            try:
                conversion(self.unit or "", self.kept_unit)
            except UnitError as error:
                raise ValueError(str(error)) from error
        return self
