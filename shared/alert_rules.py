"""The one rule engine, run at the edge and in the cloud: `evaluate(condition, watch, at, value) -> (watch, change)`."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from shared.enums import DeviceType


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
