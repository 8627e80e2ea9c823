"""What the local page needs to know, and nothing of where it comes from."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from shared.enums import AlertSeverity, DeviceType, TimeQuality
from shared.readings import Value


class SyncState(StrEnum):
    """How the box stands with the cloud."""

    IN_SYNC = "in_sync"
    SENDING = "sending"
    OFFLINE = "offline"
    REFUSED = "refused"
    """The cloud no longer takes this box's credential; somebody must enrol it again."""
    NOT_ENROLLED = "not_enrolled"


@dataclass(frozen=True, slots=True)
class DeviceView:
    """One device and its newest reading.

    Attributes:
        link_up: whether it answered when it was last asked; None = not asked yet.
        at: moment of the newest reading that has values; None = there is none.
        age_s: seconds since then, by the box's monotonic clock.
        stale_after_s: age from which the values no longer tell what is now.
        values: metric key (with or without channel) -> value in the metric's unit; None = not available.
        feeds_battery: an inverter whose AC side also carries a battery that is a device of its own (`flow.feeds_battery`).
    """

    id: str
    name: str
    device_type: DeviceType
    link_up: bool | None
    at: datetime | None
    age_s: float | None
    stale_after_s: float
    values: Mapping[str, Value]
    feeds_battery: bool = False

    @property
    def is_fresh(self) -> bool:
        """Whether the values still tell what is now."""
        return bool(self.link_up) and self.age_s is not None and self.age_s <= self.stale_after_s


@dataclass(frozen=True, slots=True)
class TodayEnergy:
    """Energy (kWh) since the site's local midnight, from counters; None = not known."""

    generated_kwh: float | None = None
    consumed_kwh: float | None = None
    imported_kwh: float | None = None
    exported_kwh: float | None = None
    charged_kwh: float | None = None
    discharged_kwh: float | None = None


@dataclass(frozen=True, slots=True)
class AlertView:
    """One open alert."""

    rule_name: str
    device_name: str
    severity: AlertSeverity
    since: datetime


@dataclass(frozen=True, slots=True)
class BufferView:
    """What waits for the cloud.

    Attributes:
        oldest_at: moment of the oldest reading that waits.
        last_ack_at: when the cloud last confirmed something.
    """

    state: SyncState
    pending_readings: int
    oldest_at: datetime | None = None
    last_ack_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class DiskView:
    """Bytes of the agent's store, what it may use, and what is free on the disk (None = not known)."""

    store_bytes: int
    quota_bytes: int
    free_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The site as the box knows it now. `now` is aware; `timezone` is an IANA name."""

    site_name: str
    timezone: str
    now: datetime
    time_quality: TimeQuality
    today: TodayEnergy
    devices: tuple[DeviceView, ...]
    alerts: tuple[AlertView, ...]
    buffer: BufferView
    disk: DiskView
    agent_version: str


@dataclass(frozen=True, slots=True)
class ChartSeries:
    """Mean power (kW) of the last 24 hours in equal steps, oldest first; None = no reading in that step.

    Attributes:
        start: beginning of the first step, aware.
        step_s: seconds of one step.
        pv_kw: generation.
        load_kw: consumption.
        grid_kw: import positive, export negative.
    """

    start: datetime
    step_s: int
    pv_kw: tuple[float | None, ...]
    load_kw: tuple[float | None, ...]
    grid_kw: tuple[float | None, ...]


class LocalView(Protocol):
    """Where the page gets its data: the running agent."""

    async def snapshot(self) -> Snapshot:
        """State of now; called every two seconds while somebody looks, so it must be cheap."""
        ...

    async def chart(self) -> ChartSeries:
        """The last 24 hours; called at most once a minute of real time and language."""
        ...

    async def is_healthy(self) -> bool:
        """Whether polling, store and sync make progress."""
        ...
