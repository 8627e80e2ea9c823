from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, update

from cloud.core.db import SYSTEM
from cloud.devices.schemas import SECRET_FIELDS
from cloud.devices.service import secret_context
from cloud.devices.tables import Device
from shared.enums import DeviceStatus, OrgMemberRole
from tests.integration.api.conftest import World

MQTT: dict[str, Any] = {
    "broker": "10.0.0.5",
    "topic_prefix": "sensors/roof",
    "username": "device",
    "password": "mqtt secret",
    "room": "roof",
}


async def new_device(world: World, **changes: Any) -> dict[str, Any]:
    body = {
        "site_id": world.site["id"],
        "name": "Irradiance",
        "device_type": "sensor",
        "protocol": "mqtt",
        "connection_config": MQTT,
        "profile": "irradiance_json",
        **changes,
    }
    answer = await world.api.call("POST", "/devices", world.owner, json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def stored_config(world: World, device_id: str) -> dict[str, Any]:
    async with world.api.services.db.transaction(SYSTEM) as conn:
        row = (await conn.execute(select(Device.connection_config).where(Device.id == UUID(device_id)))).one()
    config: dict[str, Any] = row[0]
    return config


async def test_anonymous_gets_401(world: World) -> None:
    path = f"/devices/{world.device['id']}"
    for method, at, body in (
        ("GET", "/devices", None),
        ("POST", "/devices", {}),
        ("GET", path, None),
        ("PATCH", path, {}),
        ("DELETE", path, None),
    ):
        assert (await world.api.call(method, at, json=body, if_match='"1"')).status_code == 401


async def test_another_organisations_device_does_not_exist(world: World) -> None:
    path = f"/devices/{world.other_device['id']}"
    for method, body in (("GET", None), ("PATCH", {"name": "x"}), ("DELETE", None)):
        answer = await world.api.call(method, path, world.owner, json=body, if_match='"1"')
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    foreign = await world.api.call("GET", "/devices", world.owner, params={"site_id": world.other_site["id"]})
    assert foreign.status_code == 404
    body = {
        "site_id": world.other_site["id"],
        "name": "x",
        "device_type": "meter",
        "protocol": "modbus_tcp",
        "connection_config": {"host": "10.0.0.5"},
    }
    assert (await world.api.call("POST", "/devices", world.owner, json=body)).status_code == 404


async def test_a_secret_is_sealed_masked_and_kept(world: World) -> None:
    api, device = world.api, await new_device(world)
    assert device["connection_config"] == MQTT | {"password": "***", "use_tls": False}
    stored = await stored_config(world, device["id"])
    assert stored["password"].startswith("enc:v1:")
    assert "mqtt secret" not in str(stored)
    box, context = api.services.secrets, secret_context(device["id"])
    assert box.open_fields(stored, SECRET_FIELDS, context=context)["password"] == "mqtt secret"

    # What was read, sent back with another broker: the password stays.
    path = f"/devices/{device['id']}"
    config = device["connection_config"] | {"broker": "10.0.0.6"}
    kept = await api.call("PATCH", path, world.owner, json={"connection_config": config}, if_match='"1"')
    assert kept.status_code == 200, kept.text
    assert (await stored_config(world, device["id"]))["password"] == stored["password"]
    listed = await api.call("GET", "/devices", world.owner, params={"device_type": "sensor"})
    assert "enc:v1" not in listed.text
    assert listed.json()["items"][0]["connection_config"]["password"] == "***"

    removed = {key: value for key, value in config.items() if key != "password"}
    await api.call("PATCH", path, world.owner, json={"connection_config": removed}, if_match='"2"')
    assert "password" not in await stored_config(world, device["id"])


async def test_a_mask_without_a_stored_secret_is_no_password(world: World) -> None:
    device = await new_device(world, connection_config=MQTT | {"password": "***"})
    assert "password" not in device["connection_config"]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"connection_config": {}}, "connection_config.broker"),
        ({"connection_config": MQTT | {"topic_prefix": "a/#"}}, "topic_prefix"),
        ({"protocol": "modbus_tcp"}, "connection_config.host"),
        ({"protocol": "modbus_tcp", "connection_config": {"host": "x", "slave_id": 300}}, "slave_id"),
        ({"poll_interval_s": 0}, "poll_interval_s"),
        ({"rated_power_kw": -5}, "rated_power_kw"),
        ({"commissioned_at": "2026-01-01T00:00:00"}, "commissioned_at"),
        ({"profile": "../etc/passwd"}, "profile"),
        ({"status": "online"}, "status"),
    ],
)
async def test_a_wrong_field_is_named(world: World, changes: dict[str, Any], named: str) -> None:
    body = {
        "site_id": world.site["id"],
        "name": "x",
        "device_type": "sensor",
        "protocol": "mqtt",
        "connection_config": MQTT,
    } | changes
    answer = await world.api.call("POST", "/devices", world.owner, json=body)
    assert answer.status_code == 422, answer.text
    assert named in answer.text
    assert "mqtt secret" not in answer.text


async def test_a_new_protocol_needs_its_connection(world: World) -> None:
    path = f"/devices/{world.device['id']}"
    alone = await world.api.call("PATCH", path, world.owner, json={"protocol": "mqtt"}, if_match='"1"')
    assert (alone.status_code, alone.json()["errors"][0]["field"]) == (422, "connection_config")
    both = {"protocol": "mqtt", "connection_config": MQTT}
    assert (await world.api.call("PATCH", path, world.owner, json=both, if_match='"1"')).status_code == 200
    wrong = {"connection_config": {"host": "10.0.0.5"}}
    assert (await world.api.call("PATCH", path, world.owner, json=wrong, if_match='"2"')).status_code == 422


async def test_a_serial_number_is_used_once(world: World) -> None:
    body = {
        "site_id": world.site["id"],
        "name": "x",
        "device_type": "sensor",
        "protocol": "custom",
        "connection_config": {"anything": [1, {"a": None}]},
        "serial_number": world.device["serial_number"],
    }
    answer = await world.api.call("POST", "/devices", world.owner, json=body)
    assert (answer.status_code, answer.json()["code"]) == (409, "serial_number_taken")
    second = await new_device(world)
    change = {"serial_number": world.device["serial_number"]}
    taken = await world.api.call("PATCH", f"/devices/{second['id']}", world.owner, json=change, if_match='"1"')
    assert (taken.status_code, taken.json()["code"]) == (409, "serial_number_taken")


async def test_news_from_the_field_does_not_make_an_edit_stale(world: World) -> None:
    path = f"/devices/{world.device['id']}"
    async with world.api.services.db.transaction(SYSTEM) as conn:
        heard = update(Device).where(Device.id == UUID(world.device["id"]))
        await conn.execute(heard.values(status=DeviceStatus.ONLINE, last_seen_at=func.now()))
    answer = await world.api.call("PATCH", path, world.owner, json={"metadata": {"row": 3}}, if_match='"1"')
    assert (answer.status_code, answer.json()["status"], answer.json()["version"]) == (200, "online", 2)
    kept = await world.api.call("DELETE", path, world.owner, if_match='"2"')
    assert (kept.status_code, kept.json()["code"]) == (409, "device_has_readings")


async def test_a_device_that_never_spoke_can_be_deleted(world: World) -> None:
    path = f"/devices/{world.device['id']}"
    assert (await world.api.call("DELETE", path, world.owner)).status_code == 428
    assert (await world.api.call("DELETE", path, world.owner, if_match='"9"')).status_code == 412
    assert (await world.api.call("DELETE", path, world.owner, if_match='"1"')).status_code == 204
    assert (await world.api.call("GET", path, world.owner)).status_code == 404


async def test_an_installer_sets_devices_up_and_a_viewer_does_not(world: World) -> None:
    path = f"/devices/{world.device['id']}"
    installer = await world.api.member(world.organization_id, "i@example.com", OrgMemberRole.INSTALLER)
    viewer = await world.api.member(world.organization_id, "v@example.com", OrgMemberRole.VIEWER)
    assert (await world.api.call("PATCH", path, viewer, json={"name": "x"}, if_match='"1"')).status_code == 403
    assert (await world.api.call("PATCH", path, installer, json={"name": "x"}, if_match='"1"')).status_code == 200
