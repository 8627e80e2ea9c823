"""One sitting before a device: its endpoint, what is asked there, and what was answered."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from edge_agent.clock import Clock
from edge_agent.drivers.base import Driver, DriverError
from edge_agent.drivers.factory import SUNSPEC, DriverFactory
from edge_agent.drivers.modbus import RegisterBus
from edge_agent.installer.address import DeviceAddress
from edge_agent.installer.recording import ReadLog
from edge_agent.profiles.load import ProfileLibrary
from shared.enums import DeviceType
from shared.wire import PlanDevice

_NOBODY = UUID(int=0)
"""A device that is only looked at has no id yet."""

PUSH_INTERVAL_S = 30.0
"""Poll interval that drivers of pushed values are told: they wait half of it for a first message."""


class Session:
    """Builds drivers for one address and records what passes over its register buses; use with `async with`.

    Args:
        address: of the device.
        clock: for the drivers.
        library: profiles to choose from.
        poll_interval_s: what drivers of pushed values are told.
    """

    def __init__(
        self,
        address: DeviceAddress,
        *,
        clock: Clock,
        library: ProfileLibrary,
        poll_interval_s: float = PUSH_INTERVAL_S,
    ) -> None:
        self.address = address
        self.library = library
        self.log = ReadLog()
        self._poll_interval_s = poll_interval_s
        self._bus: RegisterBus | None = None
        self._factory = DriverFactory(clock=clock, profiles=library, tap=self._keep_bus)

    def plan_device(self, profile: str, device_type: DeviceType, *, id: UUID = _NOBODY, name: str = "") -> PlanDevice:  # noqa: A002 - the plan's own word
        """The device as a plan would name it."""
        connection: Mapping[str, Any] = self.address.connection
        return PlanDevice(
            id=id,
            name=name or self.address.shown,
            device_type=device_type,
            protocol=self.address.protocol,
            profile=profile,
            connection=dict(connection),
            poll_interval_s=self._poll_interval_s,
        )

    def driver(self, profile: str, device_type: DeviceType) -> Driver:
        """A driver; opens nothing yet.

        Raises:
            DriverError: `config`, if the address and the profile do not go together.
        """
        return self._factory.build(self.plan_device(profile, device_type))

    def bus(self) -> RegisterBus:
        """The register bus behind the address.

        Raises:
            DriverError: `config`, if there is none.
        """
        if self._bus is None and self.address.has_units:
            self._factory.build(self.plan_device(SUNSPEC, DeviceType.INVERTER))
        if self._bus is None:
            raise DriverError(
                f"{self.address.shown} has no registers to probe; give --profile by name instead of 'auto'",
                retry=False,
                kind="config",
            )
        return self._bus

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._factory.close()

    def _keep_bus(self, bus: RegisterBus) -> RegisterBus:
        self._bus = self.log.tap(bus)
        return self._bus
