"""One device at one moment."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shared.enums import Quality

Value = float | str | None
"""A number in the metric's unit, a word for a state, or None: asked for, but not available (never 0)."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one device said at one moment.

    Attributes:
        device_id: the device's id in the cloud.
        at: aware UTC moment at which the answer was complete.
        values: metric key -> value. A key is a catalogue name (`grid_power_kw`: the device's total) or name and channel
            (`ac_voltage_v.l1`). A key that is absent was not asked for; a None was asked for and is not available.
        quality: flags; `Quality.GOOD` is 0. A reading with `LINK_DOWN` and no values is still a reading.
    """

    device_id: UUID
    at: datetime
    values: Mapping[str, Value]
    quality: Quality = Quality.GOOD
