"""The one rule engine, run at the edge and in the cloud: `evaluate(condition, watch, at, value) -> (watch, change)`.

Pure: whoever calls it keeps the `Watch` between two calls and brings the time of the reading.
"""

import json
import math
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from shared.enums import DeviceType
from shared.errors import SolarHubError
from shared.metrics import UnknownMetricError, metric_of
from shared.readings import Value

DEFAULT_MAX_GAP_S = 180.0
"""Two readings further apart than this (s) do not cover the time between them."""

GAP_POLLS = 3
"""A device that missed this many polls was not watched meanwhile."""


class Operator(StrEnum):
    """How a value is compared with the threshold."""

    LT = "lt"
    LTE = "lte"
    GT = "gt"
    GTE = "gte"
    EQ = "eq"
    NE = "ne"
    STATE_IS = "state_is"
    NO_DATA = "no_data"


_BELOW = frozenset({Operator.LT, Operator.LTE})
_ABOVE = frozenset({Operator.GT, Operator.GTE})


class Change(StrEnum):
    """What a reading did to the alert."""

    OPENED = "opened"
    CLEARED = "cleared"


class WatchFormatError(SolarHubError):
    """A stored watch cannot be read back."""


class Condition(BaseModel):
    """When an alert opens: the schema's `alert_rules.condition`, with optional additions.

    Attributes:
        metric: catalogue key; `power_output` is an alias of `ac_power_kw`.
        threshold: in the metric's unit; a word for `state_is`; unused for `no_data`.
        duration_seconds: how long the comparison must hold, counted only over time that readings cover; for `no_data` the
            silence itself.
        clear_threshold: the value must come back to this side before the alert clears (hysteresis).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    metric: str
    operator: Operator
    threshold: float | str | None = None
    duration_seconds: float = Field(default=0, ge=0, le=30 * 86_400)
    device_type: DeviceType | None = None
    clear_threshold: float | None = None

    @field_validator("metric")
    @classmethod
    def _metric_is_known(cls, metric: str) -> str:
        try:
            metric_of(metric)
        except UnknownMetricError as error:
            raise ValueError(str(error)) from error
        return metric

    @model_validator(mode="after")
    def _threshold_fits_operator(self) -> Self:
        if self.operator is Operator.NO_DATA:
            return self
        if self.threshold is None:
            raise ValueError(f"threshold is missing; {self.operator.value!r} compares with one")
        if self.operator is Operator.STATE_IS:
            if not isinstance(self.threshold, str):
                raise ValueError(f"threshold is {self.threshold!r}; 'state_is' compares with a word such as \"fault\"")
        elif not isinstance(self.threshold, float) or not math.isfinite(self.threshold):
            raise ValueError(f"threshold is {self.threshold!r}; {self.operator.value!r} compares with a finite number")
        return self

    @model_validator(mode="after")
    def _clear_threshold_is_on_the_good_side(self) -> Self:
        clear, threshold = self.clear_threshold, self.threshold
        if clear is None:
            return self
        if not isinstance(threshold, float) or self.operator not in _BELOW | _ABOVE:
            raise ValueError(
                f"clear_threshold is {clear:g}, but {self.operator.value!r} has no hysteresis; leave it out"
            )
        if not math.isfinite(clear):
            raise ValueError(f"clear_threshold is {clear!r}; give a finite number")
        if self.operator in _BELOW and clear < threshold:
            raise ValueError(
                f"clear_threshold is {clear:g}, below the threshold {threshold:g}; give one at or above it"
            )
        if self.operator in _ABOVE and clear > threshold:
            raise ValueError(
                f"clear_threshold is {clear:g}, above the threshold {threshold:g}; give one at or below it"
            )
        return self

    @property
    def metric_key(self) -> str:
        """Key of the value to look at, with an alias resolved (`power_output` -> `ac_power_kw`) and the channel kept."""
        name, dot, channel = self.metric.partition(".")
        return metric_of(name).name + dot + channel


@dataclass(frozen=True, slots=True)
class Watch:
    """What one rule remembers of one device between two readings.

    Attributes:
        last_at: aware moment of the newest reading taken into account.
        covered: whether that reading had a value, so that time may be counted from it.
        breached: whether it was on the bad side.
        since: first moment of the present breach (for `no_data` the last moment with data); the alert's true start.
        held_s: covered seconds of the present breach.
        is_open: whether the alert is open.
    """

    last_at: datetime | None = None
    covered: bool = False
    breached: bool = False
    since: datetime | None = None
    held_s: float = 0.0
    is_open: bool = False

    def to_json(self) -> str:
        """One line of JSON for the agent's store or a column."""
        fields = asdict(self)
        for name in ("last_at", "since"):
            moment = fields[name]
            fields[name] = None if moment is None else moment.isoformat()
        return json.dumps(fields, separators=(",", ":"), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "Watch":
        """Read back what `to_json` wrote.

        Raises:
            WatchFormatError: if the text is something else; the caller starts a new watch.
        """
        try:
            fields = json.loads(text)
            for name in ("last_at", "since"):
                if fields[name] is not None:
                    fields[name] = datetime.fromisoformat(fields[name])
            return cls(**fields)
        except (ValueError, TypeError, KeyError) as error:
            raise WatchFormatError(
                f"stored watch {text[:80]!r} is not readable ({error}); start with a new one"
            ) from error


def max_gap_seconds(poll_interval_s: float) -> float:
    """Longest distance (s) between two readings of a device that still covers the time between them."""
    return max(DEFAULT_MAX_GAP_S, GAP_POLLS * poll_interval_s)


def evaluate(
    condition: Condition,
    watch: Watch,
    at: datetime,
    value: Value,
    *,
    max_gap_s: float = DEFAULT_MAX_GAP_S,
    enabled: bool = True,
) -> tuple[Watch, Change | None]:
    """Take one reading into account.

    The duration counts only time that readings cover: between two readings further apart than `max_gap_s`, or around one
    without a value, the timer stands still. A value between `clear_threshold` and `threshold` neither counts nor clears.

    Args:
        condition: the rule.
        watch: what the previous call returned, or `Watch()`.
        at: aware moment of the reading; one not newer than the watch's is ignored.
        value: the metric's value; None = not available (for `no_data`: still silent).
        max_gap_s: see `max_gap_seconds`.
        enabled: False while the rule does not apply (at night, not producing): the timer starts anew, an open alert stays.

    Returns:
        The next watch, and what happened to the alert: opened (its start is `watch.since`), cleared, or nothing.
    """
    if watch.last_at is not None and at <= watch.last_at:
        return watch, None
    if not enabled:
        return replace(watch, last_at=at, covered=False, breached=False, since=None, held_s=0.0), None
    if condition.operator is Operator.NO_DATA:
        return _evaluate_silence(condition, watch, at, value)
    side = _side(condition, value)
    if side is _Side.BAD:
        return _breach(condition, watch, at, max_gap_s=max_gap_s)
    if side is _Side.GOOD:
        return Watch(last_at=at, covered=True), Change.CLEARED if watch.is_open else None
    return replace(watch, last_at=at, covered=side is not None, breached=False), None


class _Side(StrEnum):
    GOOD = "good"
    BETWEEN = "between"
    BAD = "bad"


def _side(condition: Condition, value: Value) -> _Side | None:
    """On which side of the thresholds a value lies; None if it cannot be compared."""
    threshold = condition.threshold
    if condition.operator is Operator.STATE_IS:
        if not isinstance(value, str):
            return None
        return _Side.BAD if value == threshold else _Side.GOOD
    if not isinstance(value, int | float) or not isinstance(threshold, float) or not math.isfinite(value):
        return None
    if _compare(condition.operator, value, threshold):
        return _Side.BAD
    clear = condition.clear_threshold
    if clear is None:
        return _Side.GOOD
    is_back = value >= clear if condition.operator in _BELOW else value <= clear
    return _Side.GOOD if is_back else _Side.BETWEEN


def _compare(operator: Operator, value: float, threshold: float) -> bool:
    outcomes = {
        Operator.LT: value < threshold,
        Operator.LTE: value <= threshold,
        Operator.GT: value > threshold,
        Operator.GTE: value >= threshold,
        Operator.EQ: value == threshold,
        Operator.NE: value != threshold,
    }
    return outcomes[operator]


def _breach(condition: Condition, watch: Watch, at: datetime, *, max_gap_s: float) -> tuple[Watch, Change | None]:
    elapsed_s = (at - watch.last_at).total_seconds() if watch.last_at is not None else 0.0
    counts = watch.covered and watch.breached and elapsed_s <= max_gap_s
    held_s = watch.held_s + (elapsed_s if counts else 0.0)
    opens = not watch.is_open and held_s >= condition.duration_seconds
    after = Watch(
        last_at=at,
        covered=True,
        breached=True,
        since=watch.since or at,
        held_s=held_s,
        is_open=watch.is_open or opens,
    )
    return after, Change.OPENED if opens else None


def _evaluate_silence(condition: Condition, watch: Watch, at: datetime, value: Value) -> tuple[Watch, Change | None]:
    """`no_data`: the silence is the breach, counted by the clock from the last moment with data."""
    if value is not None:
        cleared = Change.CLEARED if watch.is_open else None
        return Watch(last_at=at, covered=True, since=at), cleared
    since = watch.since or at
    held_s = (at - since).total_seconds()
    opens = not watch.is_open and held_s >= condition.duration_seconds
    after = Watch(last_at=at, breached=True, since=since, held_s=held_s, is_open=watch.is_open or opens)
    return after, Change.OPENED if opens else None
