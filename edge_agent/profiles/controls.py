"""What of a device may be written, and how it likes to be connected."""

from decimal import Decimal
from typing import Literal, Self

from pydantic import Field, model_validator

from edge_agent.profiles.parts import Address, ExactNumber, ProfilePart, RegisterType, Word, WordOrder
from shared.enums import DeviceType

_INTEGERS = frozenset(
    {RegisterType.U16, RegisterType.S16, RegisterType.U32, RegisterType.S32, RegisterType.U64, RegisterType.S64}
)


class Gate(ProfilePart):
    """A register that must hold a value before the control works, e.g. the switch that enables a limit."""

    address: Address
    value: Word


class Control(ProfilePart):
    """One register that may be written; every other register of the device is never written.

    Attributes:
        name: what it sets, with the unit: `active_power_limit_percent`, `export_limit_w`.
        function_code: 6 writes one register, 16 several.
        word_order: overrides the profile's.
        scale: raw number -> number in `unit`.
        unit: of the number that is set and of `range`.
        range: lowest and highest number that may be set.
        gate: written first, if it does not already hold its value.
        read_back: the register is read afterwards and must hold what was written.
        in_flash: each write wears the device's memory, so that writes have a budget.
        reverts_after_s: seconds after which the device itself takes the value back.
        verified: a second source, or a device, confirms that the write works as described.
        read_for: device types that are controlled by it (`for` in the file).
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    address: Address
    function_code: Literal[6, 16]
    type: RegisterType = RegisterType.U16
    word_order: WordOrder | None = None
    scale: ExactNumber = Decimal(1)
    unit: str
    range: tuple[float, float] | None = None
    gate: Gate | None = None
    read_back: bool = True
    in_flash: bool = False
    reverts_after_s: float | None = Field(default=None, gt=0)
    verified: bool = False
    read_for: tuple[DeviceType, ...] = Field(default=(DeviceType.INVERTER,), alias="for", min_length=1)
    note: str = ""

    @property
    def words(self) -> tuple[int, ...]:
        """Addresses of all words."""
        return tuple(range(self.address, self.address + (self.type.fixed_words or 1)))

    @property
    def raw_limits(self) -> tuple[int, int]:
        """Lowest and highest raw number that the registers can hold."""
        bits = 16 * len(self.words)
        return (-(1 << bits - 1), (1 << bits - 1) - 1) if self.type.is_signed else (0, (1 << bits) - 1)

    @model_validator(mode="after")
    def _can_be_written(self) -> Self:
        if self.type not in _INTEGERS:
            raise ValueError(f"type is {self.type.value}; what is written is one of: {', '.join(sorted(_INTEGERS))}")
        if self.function_code == 6 and len(self.words) > 1:
            raise ValueError(f"function_code 6 writes one register, {self.type.value} has {len(self.words)}; write 16")
        if self.scale == 0:
            raise ValueError("scale is 0, so that no number could be set; leave it out for 1")
        return self


class ConnectionHints(ProfilePart):
    """What to try first when such a device is connected, and what its connection cannot do.

    Attributes:
        default_unit: unit id as the maker ships it.
        default_baud: of the serial line.
        parity: none, even, odd.
        stop_bits: of the serial line.
        tcp_port: of its own network interface.
        single_client: it serves one connection at a time.
        no_transaction_id: its answers do not repeat the transaction id of the request.
    """

    default_unit: int | None = Field(default=None, ge=0, le=255)
    default_baud: int | None = Field(default=None, ge=300, le=1_000_000)
    parity: Literal["N", "E", "O"] | None = None
    stop_bits: Literal[1, 2] | None = None
    tcp_port: int | None = Field(default=None, ge=1, le=65535)
    single_client: bool = False
    no_transaction_id: bool = False
