"""A device read and judged before it is trusted: the reading, the findings, and the devices of a plan that come of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from edge_agent.clock import Clock
from edge_agent.drivers.base import DriverError
from edge_agent.drivers.factory import DriverFactory
from edge_agent.installer.draft import DraftDevice, PlanDraft, draft_entry
from edge_agent.installer.endings import UsageError
from edge_agent.installer.plausibility import Finding, Place, Values, Verdict, judge, worst
from edge_agent.installer.reading import DeviceReport, read_device
from edge_agent.installer.session import Session
from edge_agent.profiles.load import ProfileLibrary
from shared.enums import DeviceType
from shared.wire import PlanDevice

_SINGULAR_NAMES = {
    DeviceType.INVERTER: "Inverter",
    DeviceType.BATTERY: "Battery",
    DeviceType.METER: "Meter",
    DeviceType.WEATHER_STATION: "Weather station",
    DeviceType.SENSOR: "Sensor",
    DeviceType.GATEWAY: "Gateway",
}


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the installer says about the new devices.

    Attributes:
        name: of the device; several at one address get their kind added. "" for the kind alone.
        rated_kw: of the inverter; None for what the inverter says.
        poll_interval_s: seconds between two readings.
        place: of the site; None where it is not known.
    """

    name: str = ""
    rated_kw: float | None = None
    poll_interval_s: float = 10.0
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Examination:
    """What came of a reading.

    Attributes:
        devices: for a plan, one for each device type that has values.
    """

    report: DeviceReport
    findings: tuple[Finding, ...]
    devices: tuple[PlanDevice, ...]
    at: datetime

    @property
    def verdict(self) -> Verdict:
        """Over all findings."""
        return worst(self.findings)

    def entries(self) -> tuple[DraftDevice, ...]:
        """For a draft."""
        return tuple(
            draft_entry(device, identity=dict(self.report.identity), findings=self.findings, at=self.at)
            for device in self.devices
        )


async def examine(
    session: Session,
    profile: str,
    *,
    device_types: tuple[DeviceType, ...],
    wishes: Wishes,
    draft: PlanDraft,
    clock: Clock,
) -> Examination:
    """Read, judge, and make devices of it; nothing is written.

    A meter alone is judged together with the first inverter of the draft, which is read for it.

    Raises:
        DriverError: if the device gives no values.
    """
    report = await read_device(session, profile, device_types=device_types)
    parts = {part.device_type: part.values for part in report.parts if _has_values(part.values)}
    at = clock.now()
    neighbours = await _neighbours(parts, draft, library=session.library, clock=clock)
    findings = judge({**neighbours, **parts}, at=at, place=wishes.place, rated_kw=wishes.rated_kw)
    devices = tuple(
        _device(session, profile, device_type, wishes=wishes, number=len(parts), values=parts[device_type])
        for device_type in parts
    )
    return Examination(report, findings, devices, at)


def _has_values(values: Values) -> bool:
    return any(value is not None for value in values.values())


def _device(
    session: Session, profile: str, device_type: DeviceType, *, wishes: Wishes, number: int, values: Values
) -> PlanDevice:
    kind = _SINGULAR_NAMES[device_type]
    name = f"{wishes.name} {kind.lower()}" if wishes.name and number > 1 else wishes.name or kind
    rated = values.get("rated_power_kw") if wishes.rated_kw is None else wishes.rated_kw
    device = session.plan_device(profile, device_type, id=_new_id(), name=name)
    return device.model_copy(
        update={
            "poll_interval_s": wishes.poll_interval_s,
            "rated_power_kw": rated
            if device_type is DeviceType.INVERTER and isinstance(rated, float) and rated > 0
            else None,
        }
    )


def _new_id() -> UUID:
    return uuid4()


async def _neighbours(
    parts: Mapping[DeviceType, Values], draft: PlanDraft, *, library: ProfileLibrary, clock: Clock
) -> dict[DeviceType, Values]:
    """The inverter of the draft, for a meter that is read without one; nothing where it does not answer now."""
    inverters = [entry.device for entry in draft.devices if entry.device.device_type is DeviceType.INVERTER]
    if DeviceType.METER not in parts or DeviceType.INVERTER in parts or not inverters:
        return {}
    factory = DriverFactory(clock=clock, profiles=library)
    try:
        driver = factory.build(inverters[0])
        try:
            answer = await driver.read()
        finally:
            await driver.close()
    except DriverError:
        return {}
    finally:
        await factory.close()
    return {DeviceType.INVERTER: answer.values}


def checked_place(latitude: float | None, longitude: float | None) -> Place | None:
    """The place that both numbers name; None where there are none.

    Raises:
        UsageError: if only one is given, or one lies off the Earth.
    """
    if latitude is None and longitude is None:
        return None
    if latitude is None or longitude is None:
        raise UsageError("give both --latitude and --longitude, or neither")
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
        raise UsageError(
            f"latitude = {latitude:g}, longitude = {longitude:g} lie off the Earth; Lahore is 31.5 and 74.4"
        )
    return Place(latitude, longitude)
