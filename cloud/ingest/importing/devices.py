"""Which device of the site a mapping means."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from cloud.ingest.importing.errors import UnreadableError
from cloud.ingest.importing.mapping import DeviceForm


@dataclass(frozen=True, slots=True)
class SiteDevice:
    """One device of the site.

    Attributes:
        commissioned_at: readings from before it do not enter energy.
    """

    id: UUID
    name: str
    serial_number: str | None
    commissioned_at: datetime


class Devices:
    """The site's devices, found by serial number, name or id."""

    def __init__(self, devices: Sequence[SiteDevice]) -> None:
        """Of one site."""
        self._devices = devices
        self._by_id = {device.id: device for device in devices}
        self._found: dict[str, SiteDevice] = {}

    @property
    def names(self) -> list[tuple[str, str]]:
        """Everything that a device can be called, with its id, in a stable order."""
        return sorted(
            (name, str(device.id)) for device in self._devices for name in (device.name, device.serial_number) if name
        )

    def of_id(self, device_id: UUID) -> SiteDevice:
        """A device that was found before."""
        return self._by_id[device_id]

    def find(self, ref: str) -> SiteDevice:
        """The one device that is meant.

        Raises:
            UnreadableError: if there is none, or more than one; it lists the site's devices.
        """
        if ref not in self._found:
            self._found[ref] = self._search(ref)
        return self._found[ref]

    def _search(self, ref: str) -> SiteDevice:
        found = [device for device in self._devices if ref in {str(device.id), device.serial_number, device.name}]
        if len(found) != 1:
            why = "more than one device" if found else "no device"
            raise UnreadableError(f"the site has {why} {ref!r}; it has {self._listed()}")
        return found[0]

    def _listed(self) -> str:
        shown = [
            f"{device.name!r} ({'serial number ' + device.serial_number if device.serial_number else 'id ' + str(device.id)})"
            for device in self._devices
        ]
        return ", ".join(shown) or "no devices at all: add them first"


def named_device(form: DeviceForm, cell: str, devices: Devices) -> SiteDevice:
    """The device that a row's cell names.

    Raises:
        UnreadableError: as `Devices.find`.
    """
    return devices.find(form.names.get(cell, cell))
