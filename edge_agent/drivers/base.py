"""What every driver is to the rest of the agent."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from edge_agent.errors import EdgeError
from shared.enums import Quality
from shared.readings import Value


class DriverError(EdgeError):
    """A device could not be read.

    Attributes:
        retry: True when the same read may succeed later (time-out, busy bus, asleep); False when somebody must act first (wrong
            profile, refused credential).
        is_rationed: True if the driver itself sees to it that asking in vain costs the other devices little.
        kind: stable short word for logs and counters: `timeout`, `refused`, `exception`, `malformed`, `stale`, `identity`, `config`.
    """

    def __init__(self, message: str, *, retry: bool, kind: str) -> None:
        super().__init__(message)
        self.retry = retry
        self.kind = kind
        self.is_rationed = False


@dataclass(frozen=True, slots=True)
class DeviceAnswer:
    """One complete answer of a device; the poller dates it and makes it a `shared.readings.Reading`."""

    values: Mapping[str, Value]
    quality: Quality = Quality.GOOD


class Driver(Protocol):
    """Reads one device. Built once per device of the plan; reconnects by itself; used by one task at a time."""

    async def read(self) -> DeviceAnswer:
        """Read the device now, or return the newest pushed values.

        Raises:
            DriverError: if there is no answer that can be trusted; a partial answer is returned with `Quality.PARTIAL` instead.
        """
        ...

    async def close(self) -> None:
        """Release sockets, ports and tasks; may be called twice."""
        ...
