"""From settings and plan to a running zero-export loop."""

import logging
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Protocol
from uuid import UUID

from edge_agent.clock import Clock
from edge_agent.config import ZeroExportOptions
from edge_agent.control.loop import ZeroExport
from edge_agent.control.rules import Refusal, Writable, WriteRefusedError
from edge_agent.control.sunspec_writer import LIMIT, SunSpecLimitWriter
from edge_agent.control.writer import ControlWriter, Writer, writable_of
from edge_agent.control.zero_export import Seen, ZeroExportSettings
from edge_agent.drivers.base import DriverError
from edge_agent.drivers.factory import DriverFactory
from edge_agent.drivers.sunspec import bases_with
from edge_agent.poller import LiveDevice
from edge_agent.store.file import StoreFile
from edge_agent.store.writes import WriteJournal
from shared.readings import Value
from shared.wire import PlanDevice

LOG = logging.getLogger(__name__)

WAIT_S = 10.0
"""Before looking again for devices that are not in the plan, or that may not be written."""


class Devices(Protocol):
    """The agent's poller, as far as the loop needs it."""

    @property
    def live(self) -> Mapping[UUID, LiveDevice]:
        """What is known of each device of the plan now."""
        ...


class Now(Protocol):
    """The agent's time line."""

    def now(self) -> datetime:
        """Best known UTC time."""
        ...


def writer_for(factory: DriverFactory, device: PlanDevice, store: StoreFile, *, reversion_s: int = 0) -> Writer:
    """Who writes a device's controls. Its writes are remembered by where its registers are, whoever asks for them.

    Args:
        factory: builds the driver that reads it first.
        device: of the plan, or as an installer names it.
        store: remembers writes.
        reversion_s: of a SunSpec inverter's limit; 0 for never.

    Raises:
        DriverError: `config`, if it is no Modbus device.
    """
    endpoint = factory.modbus(device)
    connection, driver = endpoint.connection, factory.build(device)
    journal = WriteJournal(store, f"{endpoint.bus.name} unit {connection.slave_id}")
    if endpoint.profile is None:
        return SunSpecLimitWriter(
            endpoint.bus,
            connection.slave_id,
            driver=driver,
            journal=journal,
            bases=bases_with(connection.base_address),
            reversion_s=reversion_s,
        )
    return ControlWriter(
        endpoint.bus,
        connection.slave_id,
        profile=endpoint.profile,
        device_type=device.device_type,
        driver=driver,
        journal=journal,
    )


def limit_of(factory: DriverFactory, device: PlanDevice, *, reversion_s: int = 0) -> Writable:
    """What may be written of an inverter's limit.

    Raises:
        DriverError: `config`, if it is no Modbus device.
        WriteRefusedError: if its profile lists no such control.
    """
    profile = factory.modbus(device).profile
    if profile is None:
        # Whole percents are steps of every scale factor that is in use.
        hundred, step = Decimal(100), Decimal(1)
        reverts_after_s = float(reversion_s) or None
        return Writable(
            LIMIT, Decimal(0), hundred, step, in_flash=False, is_verified=True, reverts_after_s=reverts_after_s
        )
    controls = {control.name: control for control in profile.controls if device.device_type in control.read_for}
    if LIMIT not in controls:
        known = ", ".join(controls) or "none"
        raise WriteRefusedError(
            f"{device.name}: profile {profile.name} lists no {LIMIT} for a {device.device_type.value}; it lists: {known}",
            reason=Refusal.UNKNOWN,
        )
    return writable_of(controls[LIMIT])


def settings_for(options: ZeroExportOptions, inverter: PlanDevice) -> ZeroExportSettings:
    """What the loop goes by.

    Raises:
        WriteRefusedError: if nobody says how much the inverter delivers at 100 %.
    """
    rated_kw = options.rated_kw or inverter.rated_power_kw
    if rated_kw is None:
        raise WriteRefusedError(
            f"{inverter.name} has no rated_power_kw in the plan; set rated_kw in [zero_export]",
            reason=Refusal.OUT_OF_RANGE,
        )
    return ZeroExportSettings(
        rated_kw=rated_kw,
        import_margin_kw=options.import_margin_kw,
        raise_percent_per_s=options.raise_percent_per_s,
        meter_max_age_s=options.meter_max_age_s,
        meter_proof_s=options.meter_proof_s,
        fallback_percent=options.fallback_percent,
    )


class ZeroExportTask:
    """Keeps the loop of the settings running while the plan has its two devices.

    Args:
        options: of the settings.
        factory: builds drivers; its endpoints are shared with the poller's.
        devices: the poller.
        store: remembers writes.
        time: of the agent's readings.
        clock: of the agent.
    """

    def __init__(
        self,
        options: ZeroExportOptions,
        *,
        factory: DriverFactory,
        devices: Devices,
        store: StoreFile,
        time: Now,
        clock: Clock,
    ) -> None:
        self._options = options
        self._factory = factory
        self._devices = devices
        self._store = store
        self._time = time
        self._clock = clock
        self._told = ""

    async def run(self) -> None:
        """Run until cancelled; what is in the way is said once."""
        while True:
            try:
                meter, inverter = self._named(self._options.meter), self._named(self._options.inverter)
                loop = self._loop(meter, inverter)
            except (DriverError, WriteRefusedError) as error:
                self._tell(str(error))
                await self._clock.sleep(WAIT_S)
                continue
            self._told = ""
            LOG.info("zero_export_begins", extra={"meter": meter.name, "inverter": inverter.name})
            await loop.run(until=partial(self._is_over, meter, inverter))

    def _tell(self, why: str) -> None:
        if why != self._told:
            LOG.error("zero_export_refused", extra={"error": why})
            self._told = why

    def _named(self, name: str) -> PlanDevice:
        for live in self._devices.live.values():
            if live.device.name == name:
                return live.device
        known = ", ".join(live.device.name for live in self._devices.live.values()) or "none"
        raise WriteRefusedError(
            f"[zero_export] names {name!r}, which is no device of the plan; it has: {known}", reason=Refusal.UNKNOWN
        )

    def _is_over(self, *devices: PlanDevice) -> bool:
        """Whether the plan has changed for one of them."""
        return not all(
            device.id in self._devices.live and self._devices.live[device.id].device == device for device in devices
        )

    def _loop(self, meter: PlanDevice, inverter: PlanDevice) -> ZeroExport:
        if meter.poll_interval_s > self._options.meter_max_age_s:
            raise WriteRefusedError(
                f"{meter.name} is polled every {meter.poll_interval_s:g} s, but a reading is too old after"
                f" {self._options.meter_max_age_s:g} s; poll it every second",
                reason=Refusal.OUT_OF_RANGE,
            )
        writable = limit_of(self._factory, inverter, reversion_s=self._options.reversion_s)
        writer = writer_for(self._factory, inverter, self._store, reversion_s=self._options.reversion_s)

        async def write(value: Decimal, *, refresh: bool) -> None:
            await writer.write(LIMIT, value, now=self._time.now(), refresh=refresh)

        return ZeroExport(
            settings_for(self._options, inverter),
            writable,
            clock=self._clock,
            look=lambda elapsed_s: self._seen(meter.id, inverter.id, elapsed_s),
            write=write,
            accepts_loss=self._options.accepts_loss,
        )

    def _seen(self, meter: UUID, inverter: UUID, elapsed_s: float) -> Seen:
        at_meter, at_inverter = self._devices.live.get(meter), self._devices.live.get(inverter)
        answered = at_meter.answered_at if at_meter else None
        age_s = float("inf") if answered is None else (self._time.now() - answered).total_seconds()
        return Seen(_number(at_meter, "grid_power_kw"), age_s, _number(at_inverter, "ac_power_kw"), elapsed_s)


def _number(live: LiveDevice | None, metric: str) -> float | None:
    value: Value = (live.values or {}).get(metric) if live is not None and live.link_up else None
    return None if isinstance(value, str) else value
