"""The agents' API over HTTP: enrol, plan, readings, heartbeat, alerts; and what bad input does, which is to lose nothing."""

import asyncio
import gzip
import json
from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import zstandard
from sqlalchemy import text

from cloud.core.db import NOBODY, SYSTEM
from shared.wire import SCHEMA_VERSION
from tests.integration.api.conftest import START, Api, World

EPOCH = "5b0f9d2e-0000-4000-8000-000000000001"
FACTS = {"agent_version": "0.1.0", "hostname": "pi-roof"}
VOLTAGE = {"metric": "ac_voltage_v.l1", "operator": "gt", "threshold": 255.0}


async def new_code(world: World) -> str:
    answer = await world.api.call("POST", f"/sites/{world.site['id']}/claim-codes", world.owner)
    assert answer.status_code == 201, answer.text
    code: str = answer.json()["code"]
    return code


async def claim(api: Api, code: str, **changes: Any) -> httpx.Response:
    body = {"schema_version": SCHEMA_VERSION, "code": code, "epoch": EPOCH, "facts": FACTS} | changes
    return await api.call("POST", "/edge/claim", json=body)


@pytest.fixture
async def agent(world: World) -> dict[str, str]:
    """Headers of an enrolled agent of the world's site."""
    answer = await claim(world.api, await new_code(world))
    assert answer.status_code == 201, answer.text
    return {"Authorization": f"Bearer {answer.json()['credential']}"}


def readings(device_id: str, *powers: float, seq: int = 1, key: str = "ac_power_kw") -> dict[str, Any]:
    """A batch of one flush."""
    n = len(powers)
    stretch = {
        "device_id": device_id,
        "seqs": [seq] * n,
        "offsets_ms": [i * 1000 for i in range(n)],
        "quality": [0] * n,
        "values": {key: list(powers)},
    }
    return {
        "schema_version": SCHEMA_VERSION,
        "epoch": EPOCH,
        "first_seq": seq,
        "last_seq": seq,
        "started_at": START.isoformat(),
        "stretches": [stretch],
    }


def in_version_1(body: dict[str, Any]) -> dict[str, Any]:
    """The same batch as agents of version 1 send it."""
    blocks = [{key: column for key, column in stretch.items() if key != "seqs"} for stretch in body["stretches"]]
    flush = {"seq": body["first_seq"], "started_at": body["started_at"], "time_quality": "synced", "blocks": blocks}
    return {"schema_version": 1, "epoch": body["epoch"], "flushes": [flush]}


async def send(api: Api, agent: dict[str, str], body: Any, **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await api.call("POST", "/edge/readings", content=content, headers={**agent, **headers})


def assert_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["code"] == code
    assert problem["detail"]
    return problem


async def test_a_batch_packed_with_zstd_is_taken_like_any_other(world: World, agent: dict[str, str]) -> None:
    packed = zstandard.ZstdCompressor().compress(json.dumps(readings(world.device["id"], 1.0, 2.0)).encode())
    ack = await send(world.api, agent, packed, **{"Content-Encoding": "zstd"})
    assert (ack.status_code, ack.json()["stored"]) == (200, 2)
    bomb = zstandard.ZstdCompressor().compress(b" " * 5_000_000)
    assert_problem(await send(world.api, agent, bomb, **{"Content-Encoding": "zstd"}), 413, "body_too_large")


async def test_enrol_plan_readings_acknowledgement(world: World, agent: dict[str, str]) -> None:
    plan = await world.api.call("GET", "/edge/plan", headers=agent)
    assert [device["id"] for device in plan.json()["devices"]] == [world.device["id"]]
    assert plan.json()["schema_version"] == 1, "an agent that knows no other version goes on reading plans"
    same = await world.api.call("GET", "/edge/plan", headers={**agent, "If-None-Match": plan.headers["ETag"]})
    assert (same.status_code, same.content) == (304, b"")
    packed = gzip.compress(json.dumps(readings(world.device["id"], 1.0, 2.0)).encode())
    ack = await send(world.api, agent, packed, **{"Content-Encoding": "gzip"})
    assert ack.status_code == 200, ack.text
    assert {k: ack.json()[k] for k in ("acked_seq", "stored", "duplicates", "rejected")} == {
        "acked_seq": 1,
        "stored": 2,
        "duplicates": 0,
        "rejected": [],
    }
    await world.api.app.state.bell.close()
    assert ("telemetry.roll_up", {"site_id": UUID(world.site["id"])}) in world.api.jobs.sent


async def test_a_changed_device_gives_the_agent_a_newer_plan(world: World, agent: dict[str, str]) -> None:
    before = (await world.api.call("GET", "/edge/plan", headers=agent)).headers["ETag"]
    path = f"/devices/{world.device['id']}"
    version = (await world.api.call("GET", path, world.owner)).headers["ETag"]
    await world.api.call("PATCH", path, world.owner, json={"poll_interval_s": 30}, if_match=version)
    plan = await world.api.call("GET", "/edge/plan", headers={**agent, "If-None-Match": before})
    assert plan.status_code == 200
    assert plan.json()["devices"][0]["poll_interval_s"] == 30
    beat = await world.api.call("POST", "/edge/heartbeat", headers=agent, json=heartbeat(world))
    assert f'"{beat.json()["plan_revision"]}"' == plan.headers["ETag"]


def heartbeat(world: World) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "epoch": EPOCH,
        "at": START.isoformat(),
        "time_quality": "synced",
        "facts": FACTS,
        "plan_revision": 1,
        "buffer": {"pending_readings": 7, "pending_flushes": 1, "store_bytes": 4096},
        "newest": [{"device_id": world.device["id"], "at": START.isoformat(), "values": {"ac_power_kw": 3.2}}],
    }


async def test_a_heartbeat_shows_the_agent_and_its_newest_values(world: World, agent: dict[str, str]) -> None:
    answer = await world.api.call("POST", "/edge/heartbeat", headers=agent, json=heartbeat(world))
    assert answer.status_code == 200, answer.text
    gateways = (await world.api.call("GET", f"/sites/{world.site['id']}/gateways", world.owner)).json()["items"]
    assert gateways[0]["buffer_state"]["pending_readings"] == 7
    assert gateways[0]["agent_version"] == "0.1.0"
    assert "credential" not in json.dumps(gateways)
    live = (await world.api.call("GET", f"/sites/{world.site['id']}/live", world.owner)).json()
    assert [device["device_id"] for device in live["devices"]] == [world.device["id"]]


@pytest.mark.parametrize("path", ["readings", "heartbeat", "alerts", "plan"])
@pytest.mark.parametrize("token", ["", "Bearer she_00000000000000000000000000000000_" + "x" * 43, "Basic YTpi"])
async def test_without_a_good_credential_nothing_is_served(world: World, path: str, token: str) -> None:
    method = "GET" if path == "plan" else "POST"
    headers = {"Authorization": token} if token else {}
    problem = assert_problem(
        await world.api.call(method, f"/edge/{path}", headers=headers, json={}), 401, "credential_invalid"
    )
    assert "enrol the box again" in problem["detail"]


async def test_a_persons_token_is_no_agents_and_the_reverse(world: World, agent: dict[str, str]) -> None:
    assert_problem(await world.api.call("GET", "/edge/plan", world.owner), 401, "credential_invalid")
    assert_problem(await world.api.call("GET", "/sites", headers=agent), 401, "token_invalid")


async def test_revoked_half_way_the_rest_is_refused_and_what_came_stays(world: World, agent: dict[str, str]) -> None:
    assert (await send(world.api, agent, readings(world.device["id"], 1.0))).status_code == 200
    gateway = (await world.api.call("GET", f"/sites/{world.site['id']}/gateways", world.owner)).json()["items"][0]
    path = f"/gateways/{gateway['id']}"
    etag = (await world.api.call("GET", path, world.owner)).headers["ETag"]
    assert (await world.api.call("DELETE", path, world.owner, if_match=etag)).status_code == 204
    assert_problem(await send(world.api, agent, readings(world.device["id"], 2.0, seq=2)), 401, "credential_invalid")
    gateway = (await world.api.call("GET", path, world.owner)).json()
    assert (gateway["acked_seq"], gateway["revoked_at"] is not None) == (1, True)


async def test_a_rotated_credential_works_beside_the_old_one(world: World, agent: dict[str, str]) -> None:
    gateway = (await world.api.call("GET", f"/sites/{world.site['id']}/gateways", world.owner)).json()["items"][0]
    fresh = await world.api.call("POST", f"/gateways/{gateway['id']}/credential", world.owner)
    assert fresh.status_code == 201
    for headers in (agent, {"Authorization": f"Bearer {fresh.json()['credential']}"}):
        assert (await world.api.call("GET", "/edge/plan", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    ("code", "status", "name"),
    [
        ("ABCD-EFGH", 404, "claim_code_unknown"),
        ("short", 422, "validation_failed"),
        ("ABCD-EFG0", 422, "validation_failed"),
    ],
)
async def test_a_wrong_code_is_told_for_what_it_is(world: World, code: str, status: int, name: str) -> None:
    assert_problem(await claim(world.api, code), status, name)


async def test_old_and_used_codes_and_a_race(world: World) -> None:
    code, other = await new_code(world), await new_code(world)
    answers = await asyncio.gather(*(claim(world.api, code) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409]
    assert_problem(await claim(world.api, code), 409, "claim_code_used")
    world.api.clock.advance(minutes=16)
    assert_problem(await claim(world.api, other), 410, "claim_code_expired")


async def test_guessing_codes_is_slowed_down(world: World) -> None:
    answers = [await claim(world.api, "ABCD-EFGH") for _ in range(11)]
    assert [answer.status_code for answer in answers[:10]] == [404] * 10
    assert_problem(answers[10], 429, "too_many_claims")
    assert int(answers[10].headers["Retry-After"]) > 0


async def test_only_who_sets_up_devices_makes_codes(world: World) -> None:
    path = f"/sites/{world.site['id']}/claim-codes"
    assert_problem(await world.api.call("POST", path), 401, "unauthenticated")
    assert_problem(await world.api.call("POST", path, world.stranger), 404, "not_found")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", "$"),
        (b"{", "$"),
        (b"[1, 2]", "$"),
        (b'{"schema_version": 1, "epoch": "x", "flushes": []}', "$.epoch"),
        (b'{"schema_version": 1, "epoch": "5b0f9d2e-0000-4000-8000-000000000001", "flushes": []}', "$.flushes"),
        (b'{"schema_version": 2, "epoch": "x"}', "$.epoch"),
        (b'{"schema_version": 2, "epoch": "5b0f9d2e-0000-4000-8000-000000000001", "first_seq": 0}', "$.first_seq"),
    ],
)
async def test_a_malformed_batch_names_the_field(world: World, agent: dict[str, str], body: bytes, field: str) -> None:
    problem = assert_problem(await send(world.api, agent, body), 422, "validation_failed")
    assert problem["errors"][0]["field"] == field


async def test_a_damaged_or_foreign_encoding_is_told_so(world: World, agent: dict[str, str]) -> None:
    assert_problem(await send(world.api, agent, b"plain", **{"Content-Encoding": "gzip"}), 422, "validation_failed")
    assert_problem(await send(world.api, agent, b"x", **{"Content-Encoding": "br"}), 415, "encoding_unsupported")


async def test_bodies_and_bombs_that_are_too_large(world: World, agent: dict[str, str]) -> None:
    assert_problem(await send(world.api, agent, b" " * 1_000_001), 413, "body_too_large")
    bomb = gzip.compress(b" " * 50_000_000)
    problem = assert_problem(await send(world.api, agent, bomb, **{"Content-Encoding": "gzip"}), 413, "body_too_large")
    assert problem["limit_bytes"] == 1_000_000
    many = readings(world.device["id"], *([1.0] * 5_001))
    assert_problem(await send(world.api, agent, many), 413, "body_too_large")


@pytest.mark.parametrize("version", [0, 99])
async def test_an_unsupported_version_is_refused_clearly(world: World, agent: dict[str, str], version: int) -> None:
    body = readings(world.device["id"], 1.0) | {"schema_version": version}
    problem = assert_problem(await send(world.api, agent, body), 422, "schema_version_unsupported")
    assert ("update the agent" in problem["detail"]) is (version == 0)
    assert_problem(await claim(world.api, "ABCD-EFGH", schema_version=version), 422, "schema_version_unsupported")


async def test_a_gap_says_where_to_go_on(world: World, agent: dict[str, str]) -> None:
    problem = assert_problem(
        await send(world.api, agent, readings(world.device["id"], 1.0, seq=5)), 409, "sequence_gap"
    )
    assert problem["expected_seq"] == 1


async def test_an_unknown_device_does_not_refuse_the_batch(world: World, agent: dict[str, str]) -> None:
    stranger = str(uuid4())
    body = readings(stranger, 1.0)
    for device, kw in ((world.device, 2.0), (world.other_device, 3.0)):
        body["stretches"] += readings(device["id"], kw)["stretches"]
    ack = (await send(world.api, agent, body)).json()
    assert (ack["acked_seq"], ack["stored"]) == (1, 1)
    assert {(r["device_id"], r["reason"]) for r in ack["rejected"]} == {
        (stranger, "device_unknown"),
        (world.other_device["id"], "device_unknown"),
    }


async def test_flushes_without_readings_are_acknowledged_too(world: World, agent: dict[str, str]) -> None:
    body = readings(world.device["id"], 1.0) | {"last_seq": 7, "stretches": []}
    ack = (await send(world.api, agent, body)).json()
    assert (ack["acked_seq"], ack["stored"]) == (7, 0)


async def test_version_1_is_still_taken_and_gives_the_same_rows(world: World, agent: dict[str, str]) -> None:
    async def rows() -> list[dict[str, Any]]:
        async with world.api.services.db.transaction(SYSTEM) as conn:
            found = await conn.execute(
                text("SELECT to_jsonb(r) - 'received_at' AS row FROM telemetry_readings AS r ORDER BY at")
            )
            return [row.row for row in found]

    async def stored_by(body: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        answer = await send(world.api, agent, body)
        assert answer.status_code == 200, answer.text
        found = await rows()
        async with world.api.services.db.transaction(SYSTEM) as conn:
            await conn.execute(text("DELETE FROM telemetry_readings"))
            await conn.execute(text("UPDATE edge_gateways SET epoch = NULL, acked_seq = 0"))
            await conn.execute(text("DELETE FROM ingest_batches"))
        return answer.json() | {"server_time": None}, found

    body = readings(world.device["id"], 1.25, 229.1, 3.0)
    newer, older = await stored_by(body), await stored_by(in_version_1(body))
    assert older == newer
    assert [row["ac_power_kw"] for row in newer[1]] == [1.25, 229.1, 3.0]


async def test_a_database_that_is_away_loses_nothing(world: World, agent: dict[str, str]) -> None:
    body = readings(world.device["id"], 1.0)
    services = world.api.services
    async with AsyncExitStack() as held:
        for _ in range(services.settings.db_pool_size):
            await held.enter_async_context(services.bulk.transaction(NOBODY))
        answer = await send(world.api, agent, body)
    assert_problem(answer, 503, "overloaded")
    assert int(answer.headers["Retry-After"]) > 0
    assert (await send(world.api, agent, body)).json()["stored"] == 1


async def test_edge_alerts_reach_the_people_and_carry_their_true_start(world: World, agent: dict[str, str]) -> None:
    organization = world.site["organization_id"]
    rule = await world.api.call(
        "POST",
        f"/organizations/{organization}/alert-rules",
        world.owner,
        json={"name": "Grid voltage high", "site_id": world.site["id"], "condition": VOLTAGE},
    )
    assert rule.status_code == 201, rule.text
    plan = (await world.api.call("GET", "/edge/plan", headers=agent)).json()
    assert [each["id"] for each in plan["rules"]] == [rule.json()["id"]]
    alert = {
        "id": str(uuid4()),
        "rule_id": rule.json()["id"],
        "device_id": world.device["id"],
        "metric": "ac_voltage_v.l1",
        "value": 262.0,
        "threshold": 255.0,
        "severity": "warning",
        "triggered_at": START.isoformat(),
    }
    world.api.clock.advance(minutes=6)
    sent = await world.api.call("POST", "/edge/alerts", headers=agent, json={"schema_version": 1, "alerts": [alert]})
    assert sent.json() == {"schema_version": 1, "accepted": [alert["id"]], "rejected": {}}
    answer = await world.api.call("GET", "/alerts", world.owner, params={"status": "active"})
    assert answer.status_code == 200, answer.text
    listed = answer.json()["items"]
    assert [(each["id"], each["triggered_at"]) for each in listed] == [(alert["id"], "2026-06-01T07:00:00Z")]
    seen = await world.api.call("POST", f"/alerts/{alert['id']}/acknowledge", world.owner)
    assert seen.json()["status"] == "acknowledged"
    ended = await world.api.call("POST", f"/alerts/{alert['id']}/resolve", world.owner)
    assert ended.json()["status"] == "resolved"
    assert_problem(await world.api.call("POST", f"/alerts/{alert['id']}/resolve", world.owner), 409, "alert_not_open")
    events = (await world.api.call("GET", f"/alerts/{alert['id']}/events", world.owner)).json()["items"]
    assert [event["kind"] for event in events] == ["opened", "acknowledged", "resolved"]
    assert_problem(await world.api.call("GET", f"/alerts/{alert['id']}", world.stranger), 404, "not_found")


async def test_rules_are_changed_by_version_and_deleted(world: World) -> None:
    path = f"/organizations/{world.site['organization_id']}/alert-rules"
    made = await world.api.call("POST", path, world.owner, json={"name": "High", "condition": VOLTAGE})
    rule = f"/alert-rules/{made.json()['id']}"
    assert_problem(
        await world.api.call("PATCH", rule, world.owner, json={"is_active": False}), 428, "if_match_required"
    )
    changed = await world.api.call("PATCH", rule, world.owner, json={"is_active": False}, if_match=made.headers["ETag"])
    assert (changed.status_code, changed.json()["is_active"], changed.json()["name"]) == (200, False, "High")
    assert_problem(
        await world.api.call("DELETE", rule, world.owner, if_match=made.headers["ETag"]), 412, "version_stale"
    )
    assert (await world.api.call("DELETE", rule, world.owner, if_match=changed.headers["ETag"])).status_code == 204
    assert_problem(await world.api.call("GET", rule, world.owner), 404, "not_found")


@pytest.mark.parametrize(
    ("condition", "field"),
    [
        ({"metric": "moonlight", "operator": "gt", "threshold": 1}, "condition.metric"),
        ({"metric": "ac_power_kw", "operator": "above", "threshold": 1}, "condition.operator"),
        ({"metric": "ac_power_kw", "operator": "gt"}, "condition"),
    ],
)
async def test_a_wrong_condition_names_its_field(world: World, condition: dict[str, Any], field: str) -> None:
    path = f"/organizations/{world.site['organization_id']}/alert-rules"
    answer = await world.api.call("POST", path, world.owner, json={"name": "x", "condition": condition})
    assert assert_problem(answer, 422, "validation_failed")["errors"][0]["field"].startswith(field)


async def test_a_rule_for_a_strangers_site_or_device_is_not_found(world: World) -> None:
    path = f"/organizations/{world.site['organization_id']}/alert-rules"
    for place in (
        {"site_id": world.other_site["id"]},
        {"site_id": world.site["id"], "device_id": world.other_device["id"]},
    ):
        answer = await world.api.call("POST", path, world.owner, json={"name": "x", "condition": VOLTAGE, **place})
        assert_problem(answer, 404, "not_found")
