"""The limit on active power of SunSpec inverters: which registers say it, how they are written, and how to see that it holds.

Model 123 ("immediate controls") and model 704 ("DER AC controls") of the SunSpec Alliance. Pure: nothing here writes.
"""

from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal

from edge_agent.drivers.sunspec_models import MAX_SCALE, DecodedModel, ModelPlace, Point, PointDefinition
from edge_agent.errors import EdgeError

FULL_POWER_PERCENT = Decimal(100)


class PowerLimitError(EdgeError):
    """The device cannot be told this limit; the message names what is in the way."""


@dataclass(frozen=True, slots=True)
class LimitPoints:
    """The points of a model that make the limit.

    Attributes:
        percent: the limit, of the power that the device is set to (WMax).
        factor: its scale factor.
        enable: 1 while the limit holds, 0 while it does not.
        reversion: seconds after which the device drops the limit by itself; 0 for never.
        remaining: seconds until then; "" where the model has no such point.
        afterwards: what is written so that the device knows what comes after the reversion, raw.
    """

    percent: str
    factor: str
    enable: str
    reversion: str
    remaining: str
    afterwards: tuple[tuple[str, int], ...]


LIMIT_POINTS = {
    704: LimitPoints(
        percent="WMaxLimPct",
        factor="WMaxLimPct_SF",
        enable="WMaxLimPctEna",
        reversion="WMaxLimPctRvrtTms",
        remaining="WMaxLimPctRvrtRem",
        afterwards=(("WMaxLimPctEnaRvrt", 0),),
    ),
    123: LimitPoints(
        percent="WMaxLimPct",
        factor="WMaxLimPct_SF",
        enable="WMaxLim_Ena",
        reversion="WMaxLimPct_RvrtTms",
        remaining="",
        afterwards=(),
    ),
}
LIMIT_MODELS = tuple(LIMIT_POINTS)
"""In the order of preference, should a device have both."""


@dataclass(frozen=True, slots=True)
class RegisterWrite:
    """Words to write in one request (function 16, also for one word).

    Attributes:
        point: name of the point, for the record.
    """

    point: str
    address: int
    words: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LimitState:
    """What the device says of its limit; None for what it does not say.

    Attributes:
        percent: the limit that holds, or would hold.
        is_enabled: whether it holds.
        reversion_s: after how many seconds it is dropped; 0 for never.
        remaining_s: seconds until it is dropped.
    """

    percent: Decimal | None
    is_enabled: bool | None
    reversion_s: int | None
    remaining_s: int | None

    @property
    def effective_percent(self) -> Decimal | None:
        """The limit that holds: full power if none is enabled."""
        return FULL_POWER_PERCENT if self.is_enabled is False else self.percent if self.is_enabled else None


@dataclass(frozen=True, slots=True)
class LimitChange:
    """A limit as a device is told it.

    Attributes:
        writes: in this order; the one that makes the others take effect is the last.
        place: the model to read afterwards, for `limit_state`.
        expected: what it must say then, as far as it was written.
    """

    writes: tuple[RegisterWrite, ...]
    place: ModelPlace
    expected: LimitState

    def holds(self, state: LimitState) -> bool:
        """Whether a device that says this does as it was told."""
        if state.is_enabled is not self.expected.is_enabled:
            return False
        if not self.expected.is_enabled:
            return True
        is_reverting = self.expected.reversion_s in (None, state.reversion_s)
        return state.percent == self.expected.percent and is_reverting


def limit_state(model: DecodedModel) -> LimitState:
    """What a model of `LIMIT_MODELS` says."""
    names = LIMIT_POINTS[model.definition.id]
    percent, enable = model.points[names.percent], model.points[names.enable]
    return LimitState(
        percent=percent if isinstance(percent, Decimal) else None,
        is_enabled=None if enable is None else enable == 1,
        reversion_s=_whole(model.points[names.reversion]),
        remaining_s=_whole(model.points.get(names.remaining)),
    )


def change_limit(place: ModelPlace, model: DecodedModel, *, percent: Decimal, reversion_s: int = 0) -> LimitChange:
    """How `active_power_limit_percent` becomes `percent`.

    The limit is rounded down to the device's steps, never up: it may protect a transformer or a contract.

    Args:
        place: where the model lies.
        model: the model as it was just read; its scale factor says the steps, and what is None in it the device does not have.
        percent: 0 to 100.
        reversion_s: the device drops the limit by itself after so many seconds, unless it is told again; 0 for never.

    Raises:
        PowerLimitError: if the device cannot be told this.
    """
    names = LIMIT_POINTS[model.definition.id]
    if not 0 <= percent <= FULL_POWER_PERCENT:
        raise PowerLimitError(f"active_power_limit_percent = {percent} is not within 0 to 100; correct the limit")
    factor = model.points[names.factor]
    if not isinstance(factor, Decimal) or abs(factor) > MAX_SCALE:
        raise PowerLimitError(
            f"model {place.id} at {place.address} has {names.factor} = {factor}, so nobody knows the steps of its limit; leave it alone"
        )
    raw = int(percent.scaleb(-int(factor)).to_integral_value(ROUND_FLOOR))
    told = Decimal(raw).scaleb(int(factor))
    if told == 0 < percent:
        raise PowerLimitError(
            f"active_power_limit_percent = {percent} is less than a step of model {place.id} at {place.address} (10^{factor} percent); "
            "choose 0 or a whole step"
        )
    writes = [
        *_reversion_writes(place, model, reversion_s=reversion_s),
        _write(place, model, names.percent, raw),
        _write(place, model, names.enable, 1),
    ]
    has_reversion = model.points[names.reversion] is not None
    expected = LimitState(
        percent=told, is_enabled=True, reversion_s=reversion_s if has_reversion else None, remaining_s=None
    )
    return LimitChange(tuple(writes), place, expected)


def lift_limit(place: ModelPlace, model: DecodedModel) -> LimitChange:
    """How a device gets back to full power."""
    names = LIMIT_POINTS[model.definition.id]
    expected = LimitState(percent=None, is_enabled=False, reversion_s=None, remaining_s=None)
    return LimitChange((_write(place, model, names.enable, 0),), place, expected)


def _reversion_writes(place: ModelPlace, model: DecodedModel, *, reversion_s: int) -> list[RegisterWrite]:
    names = LIMIT_POINTS[model.definition.id]
    if model.points[names.reversion] is None:
        if reversion_s == 0:
            return []
        raise PowerLimitError(
            f"model {place.id} at {place.address} has no {names.reversion}: the device would keep the limit for ever if nobody lifted it; "
            f"ask for no reversion ({reversion_s} s was asked for), or leave the limit alone"
        )
    afterwards = [_write(place, model, name, raw) for name, raw in names.afterwards if model.points[name] is not None]
    return [*afterwards, _write(place, model, names.reversion, reversion_s)]


def _write(place: ModelPlace, model: DecodedModel, name: str, raw: int) -> RegisterWrite:
    point = model.definition.point(name)
    limit = _highest(point)
    if not 0 <= raw <= limit:
        raise PowerLimitError(
            f"{name} = {raw} of model {place.id} at {place.address} does not fit; it goes from 0 to {limit}"
        )
    words = tuple(raw >> 16 * part & 0xFFFF for part in reversed(range(point.size)))
    return RegisterWrite(name, place.address + point.offset, words)


def _highest(point: PointDefinition) -> int:
    """All ones mean "not implemented" in the unsigned types that are written here."""
    return (1 << 16 * point.size) - 2


def _whole(point: Point) -> int | None:
    return int(point) if isinstance(point, Decimal) else None
