"""The plan as an installer drafts it on the box: devices that were read and found plausible, in a JSON file.

The file may hold passwords of devices, so only its owner may read it.
"""

import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from edge_agent.errors import EdgeError
from edge_agent.installer.plausibility import Finding, Verdict
from shared.wire import PlanDevice

FILE_NAME = "plan-draft.json"

_ENDPOINT = ("host", "port", "serial_port", "broker", "topic_prefix", "base_url", "slave_id", "logger_serial")
"""Keys of a connection that say which device it is; the others say how it is asked."""


class DraftError(EdgeError):
    """The draft cannot be read, written or changed so; the message names the file or the device and the way out."""


class DraftFinding(BaseModel):
    """One check of the reading with which a device was added."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    check: str
    verdict: Verdict
    reason: str


class DraftDevice(BaseModel):
    """A device and what it was judged by.

    Attributes:
        device: as in a plan; its id is the box's own until the cloud gives one.
        identity: what the device says about itself.
        added_at: moment of the reading.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    device: PlanDevice
    identity: dict[str, Any] = Field(default_factory=dict)
    added_at: AwareDatetime
    findings: tuple[DraftFinding, ...] = ()


class PlanDraft(BaseModel):
    """The file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    devices: tuple[DraftDevice, ...] = ()

    def same_as(self, device: PlanDevice) -> DraftDevice | None:
        """The entry for the same device type at the same place; None where there is none."""
        return next((entry for entry in self.devices if _place_of(entry.device) == _place_of(device)), None)

    def with_device(self, entry: DraftDevice, *, replace: bool = False) -> "PlanDraft":
        """The draft with one more device; a replaced one keeps its id.

        Raises:
            DraftError: if the device is there already and is not to be replaced, or another one has its name.
        """
        same = self.same_as(entry.device)
        if same is not None and not replace:
            raise DraftError(
                f"{entry.device.device_type.value} at this address is in the draft already as {same.device.name!r}; add --replace to "
                "read it anew"
            )
        others = tuple(each for each in self.devices if each is not same)
        if any(each.device.name == entry.device.name for each in others):
            raise DraftError(
                f"name = {entry.device.name!r} belongs to another device of the draft; choose another --name"
            )
        if same is not None:
            entry = entry.model_copy(update={"device": entry.device.model_copy(update={"id": same.device.id})})
        return PlanDraft(devices=(*others, entry))

    def without(self, name: str) -> "PlanDraft":
        """The draft without one device.

        Raises:
            DraftError: if no device has this name.
        """
        left = tuple(entry for entry in self.devices if entry.device.name != name)
        if len(left) == len(self.devices):
            known = ", ".join(repr(entry.device.name) for entry in self.devices) or "none"
            raise DraftError(f"name = {name!r} is not in the draft; there are: {known}")
        return PlanDraft(devices=left)


def draft_entry(
    device: PlanDevice, *, identity: dict[str, Any], findings: tuple[Finding, ...], at: datetime
) -> DraftDevice:
    """What is kept of a device that was read."""
    return DraftDevice(
        device=device,
        identity={key: value for key, value in identity.items() if isinstance(value, str)},
        added_at=at,
        findings=tuple(DraftFinding(check=each.check, verdict=each.verdict, reason=each.reason) for each in findings),
    )


def load_draft(path: Path) -> PlanDraft:
    """Read the draft; an empty one where there is no file.

    Raises:
        DraftError: if the file cannot be read or is no draft.
    """
    try:
        return PlanDraft.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return PlanDraft()
    except OSError as error:
        raise DraftError(
            f"{path} cannot be read ({error.strerror}); check its owner, or name another with --draft"
        ) from error
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors()[0]["loc"]) or "file"
        raise DraftError(
            f"{path} is no draft of a plan ({place}: {error.errors()[0]['msg']}); correct it, or name another with --draft"
        ) from error


def save_draft(path: Path, draft: PlanDraft) -> None:
    """Write the draft, readable by its owner alone; a power cut leaves the old file or the new one.

    Raises:
        DraftError: if it cannot be written.
    """
    text = json.dumps(draft.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"
    new = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        raise DraftError(
            f"{path} cannot be written ({error.strerror}); check folder and owner, or use --draft"
        ) from error


def _place_of(device: PlanDevice) -> tuple[object, ...]:
    where = tuple(str(device.connection.get(key, "")).lower() for key in _ENDPOINT)
    return (device.protocol, device.device_type, where)
