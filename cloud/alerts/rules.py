"""Which silences are alerts: pure.

The cloud judges only what an agent cannot: that nothing arrives. A silent gateway inhibits the alerts of its devices, so that a site
without internet is one alert and not one per device.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID


@dataclass(frozen=True, slots=True)
class HeardDevice:
    """A device that a rule watches, and when its last values arrived in the cloud (for a new one: when it was added)."""

    id: UUID
    heard_at: datetime


@dataclass(frozen=True, slots=True)
class Silence:
    """Something that has not been heard of.

    Attributes:
        device_id: None when the gateway itself is silent, which stands for the whole site.
        since: when it was last heard.
    """

    device_id: UUID | None
    since: datetime


def silences(
    *, gateway_heard_at: datetime | None, devices: Iterable[HeardDevice], longest: timedelta, now: datetime
) -> tuple[Silence, ...]:
    """List what has been silent for at least `longest`.

    Args:
        gateway_heard_at: last word of the site's agent; None where the site has none, then each device speaks for itself.
        devices: those that the rule watches.
        longest: silence that is still normal.
        now: the cloud's time.
    """
    if gateway_heard_at is not None and now - gateway_heard_at >= longest:
        return (Silence(device_id=None, since=gateway_heard_at),)
    return tuple(Silence(device.id, device.heard_at) for device in devices if now - device.heard_at >= longest)
