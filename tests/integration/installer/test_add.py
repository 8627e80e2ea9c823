"""From a device that answers to a draft of the plan."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from edge_agent.clock import SystemClock
from edge_agent.drivers.factory import DriverFactory
from edge_agent.installer.asking import Asked, opened
from edge_agent.installer.draft import PlanDraft, load_draft
from edge_agent.installer.examine import Wishes, examine
from edge_agent.installer.plausibility import Place, Verdict
from shared.enums import DeviceType
from tests.captures import holding_of
from tests.integration.installer.command import solarhub_edge
from tests.modbus_server import serve

DEYE = "sunsynk_sg01lp1_3k6"
GRID_CT_W = 172
"""Grid power of the Deye map, in W, at the outer current transformer."""


def findings(document: dict[str, Any]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for each in document["findings"]:
        found.setdefault(each["check"], set()).add(each["verdict"])
    return found


async def test_a_hybrid_becomes_three_devices_of_a_draft(tmp_path: Path) -> None:
    draft = tmp_path / "draft.json"
    async with serve(holding_of(DEYE)) as port:
        url = f"tcp://127.0.0.1:{port}"
        ended = await solarhub_edge(
            "device", "add", "--url", url, "--name", "North", "--draft", draft, "--interval", "5", "--json"
        )
        assert (ended.code, ended.err) == (0, "")
        again = await solarhub_edge("device", "add", "--url", url, "--name", "South", "--draft", draft, "--json")
        assert again.code == 1
        assert "--replace" in again.error
        devices = [entry.device for entry in load_draft(draft).devices]
        factory = DriverFactory(clock=SystemClock())
        for device in devices:
            driver = factory.build(device)
            assert (await driver.read()).values
            await driver.close()
        await factory.close()
    assert ended.document["added"] is True
    assert ended.document["verdict"] in {"ok", "doubtful"}
    assert findings(ended.document)["frequency"] == {"ok"}
    assert findings(ended.document)["night"] == {"not_checked"}
    assert [(device.name, device.device_type.value, device.profile) for device in devices] == [
        ("North inverter", "inverter", "deye_1p_hybrid"),
        ("North battery", "battery", "deye_1p_hybrid"),
        ("North meter", "meter", "deye_1p_hybrid"),
    ]
    assert [device.rated_power_kw for device in devices] == [3.6, None, None]
    assert {device.poll_interval_s for device in devices} == {5.0}
    assert len({device.id for device in devices} - {UUID(int=0)}) == 3
    listed = await solarhub_edge("device", "list", "--draft", draft, "--json")
    assert [device["name"] for device in json.loads(listed.out)] == [device.name for device in devices]
    removed = await solarhub_edge("device", "remove", "North battery", "--draft", draft)
    assert removed.code == 0
    assert [entry.device.name for entry in load_draft(draft).devices] == ["North inverter", "North meter"]


async def test_a_turned_meter_is_not_added_unless_told_so(tmp_path: Path) -> None:
    draft = tmp_path / "draft.json"
    registers = holding_of(DEYE) | {GRID_CT_W: 0x10000 - 2000}
    async with serve(registers) as port:
        arguments = ["--url", f"tcp://127.0.0.1:{port}", "--profile", "deye_1p_hybrid", "--draft", draft]
        judged = await solarhub_edge("device", "test", *arguments, "--json")
        refused = await solarhub_edge("device", "add", *arguments)
        assert not draft.exists()
        told = await solarhub_edge("device", "add", *arguments, "--anyway", "--json")
    assert (judged.code, refused.code, told.code) == (1, 1, 0)
    (sign,) = [each for each in judged.document["findings"] if each["check"] == "meter_sign"]
    assert sign["verdict"] == "wrong"
    assert "turn the meter's sign" in sign["reason"]
    assert "Not added" in refused.out
    assert "WRONG" in refused.out.splitlines()[0]
    kept = load_draft(draft).devices
    assert [each.device.name for each in kept] == ["Inverter", "Battery", "Meter"]
    assert "wrong" in {finding.verdict.value for finding in kept[0].findings}


async def judged_meter(port: int, draft: PlanDraft) -> Verdict:
    async with opened(Asked(f"tcp://127.0.0.1:{port}", "deye_1p_hybrid", device_type=DeviceType.METER)) as found:
        examined = await examine(
            found.session,
            found.profile,
            device_types=found.device_types,
            wishes=Wishes(name="Meter"),
            draft=draft,
            clock=SystemClock(),
        )
    (sign,) = [each for each in examined.findings if each.check == "meter_sign"]
    assert [device.name for device in examined.devices] == ["Meter"]
    return sign.verdict


async def test_a_meter_alone_is_judged_with_the_inverter_of_the_draft() -> None:
    turned = holding_of(DEYE) | {GRID_CT_W: 0x10000 - 2000}
    async with serve(holding_of(DEYE)) as inverter, serve(turned) as meter:
        asked = Asked(f"tcp://127.0.0.1:{inverter}", "deye_1p_hybrid", device_type=DeviceType.INVERTER)
        async with opened(asked) as found:
            examined = await examine(
                found.session,
                found.profile,
                device_types=found.device_types,
                wishes=Wishes(place=Place(31.5, 74.4)),
                draft=PlanDraft(),
                clock=SystemClock(),
            )
        (entry,) = examined.entries()
        assert await judged_meter(meter, PlanDraft()) is Verdict.NOT_CHECKED
        assert await judged_meter(meter, PlanDraft(devices=(entry,))) is Verdict.WRONG
    async with serve(turned) as meter:
        assert await judged_meter(meter, PlanDraft(devices=(entry,))) is Verdict.NOT_CHECKED


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--latitude", "31.5"], "--longitude"),
        (["--latitude", "95", "--longitude", "74"], "latitude = 95"),
        (["--url", "tcp:x"], "host"),
    ],
)
async def test_a_wrong_command_changes_nothing(tmp_path: Path, arguments: list[str], word: str) -> None:
    draft = tmp_path / "draft.json"
    url = ["--url", "tcp://127.0.0.1:1"]
    ended = await solarhub_edge("device", "add", *url, *arguments, "--draft", draft, "--json")
    assert ended.code == 2
    assert word in ended.error
    assert not draft.exists()
