"""The draft of a plan: nothing twice, nothing lost, nobody else reads it."""

import json
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from cloud.devices.schemas import DeviceIn
from edge_agent.installer.add_cli import cloud_form
from edge_agent.installer.draft import DraftDevice, DraftError, PlanDraft, draft_entry, load_draft, save_draft
from edge_agent.installer.plausibility import Finding, Verdict
from shared.wire import PlanDevice

AT = datetime(2026, 6, 1, 7, tzinfo=UTC)


def entry(number: int = 1, **fields: Any) -> DraftDevice:
    device = PlanDevice.model_validate(
        {
            "id": UUID(int=number),
            "name": f"roof {number}",
            "device_type": "inverter",
            "protocol": "modbus_tcp",
            "profile": "deye_1p_hybrid",
            "connection": {"host": "10.0.0.5", "port": 502, "slave_id": number},
        }
        | fields
    )
    findings = (Finding("frequency", Verdict.OK, "50 Hz"),)
    return draft_entry(device, identity={"model": "X", "registers": [1]}, findings=findings, at=AT)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "state" / "plan-draft.json"
    assert load_draft(path) == PlanDraft()
    draft = PlanDraft().with_device(entry(1)).with_device(entry(2))
    save_draft(path, draft)
    assert load_draft(path) == draft
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_one_device_type_at_one_place_is_there_once() -> None:
    draft = PlanDraft().with_device(entry(1))
    again = entry(1, id=UUID(int=9), name="other", connection={"slave_id": 1, "port": 502, "host": "10.0.0.5", "x": 1})
    with pytest.raises(DraftError, match=r"'roof 1'.*--replace"):
        draft.with_device(again)
    replaced = draft.with_device(again, replace=True)
    assert [(each.device.name, each.device.id) for each in replaced.devices] == [("other", UUID(int=1))]
    battery = entry(1, id=UUID(int=3), name="battery", device_type="battery")
    assert len(draft.with_device(battery).devices) == 2


def test_a_name_is_given_once() -> None:
    draft = PlanDraft().with_device(entry(1))
    with pytest.raises(DraftError, match="--name"):
        draft.with_device(entry(2, name="roof 1"))


def test_a_device_is_taken_out_by_name() -> None:
    draft = PlanDraft().with_device(entry(1)).with_device(entry(2))
    assert [each.device.name for each in draft.without("roof 1").devices] == ["roof 2"]
    with pytest.raises(DraftError, match="'roof 1', 'roof 2'"):
        draft.without("roof 3")


@pytest.mark.parametrize("text", ["", "[]", '{"format": 2}', '{"devices": [{}]}'])
def test_a_file_that_is_no_draft_is_refused_and_kept(tmp_path: Path, text: str) -> None:
    path = tmp_path / "draft.json"
    path.write_text(text)
    with pytest.raises(DraftError, match="--draft"):
        load_draft(path)
    assert path.read_text() == text


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DraftError, match="cannot be written"):
        save_draft(tmp_path / "file" / "draft.json", PlanDraft())


def test_a_listed_device_is_one_that_the_cloud_takes() -> None:
    form = json.loads(json.dumps(cloud_form(entry(1))))
    taken = DeviceIn.model_validate({**form, "site_id": str(UUID(int=5))})
    assert taken.name == "roof 1"
    assert taken.model == "X"
    assert taken.connection_config["slave_id"] == 1
