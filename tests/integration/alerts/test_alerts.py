"""The same alert is one row, silence is one alert, and every change is written down."""

import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update

from cloud.alerts import repository, service
from cloud.alerts.service import AlertNotOpenError, Swept, merge_edge_alerts, plan_rules, sweep_no_data
from cloud.core.db import Database
from cloud.core.ids import new_id
from cloud.fleet.tables import EdgeGateway
from cloud.ingest.service import take_newest
from shared.enums import AlertSeverity
from shared.wire import AlertAck, AlertBatch, EdgeAlert, NewestReading
from tests.plants import NOW, Plant, make_plant, rows_of

OVER_VOLTAGE = {"metric": "ac_voltage_v", "operator": "gt", "threshold": 255.0, "duration_seconds": 60}
SILENT = {"metric": "link_up", "operator": "no_data", "duration_seconds": 600}


async def add_rule(db: Database, plant: Plant, condition: dict[str, Any], **more: Any) -> UUID:
    async with db.transaction(plant.edge.context) as conn:
        rule = await repository.add_rule(
            conn,
            {
                "organization_id": plant.organization_id,
                "name": "Grid voltage high",
                "condition": condition,
                "severity": AlertSeverity.WARNING,
                **more,
            },
        )
    rule_id: UUID = rule.id
    return rule_id


def alert(plant: Plant, rule_id: UUID, *, begin: int = 0, end: int | None = None, **more: Any) -> EdgeAlert:
    values: dict[str, Any] = {
        "id": UUID(int=1000 + begin),
        "rule_id": rule_id,
        "device_id": plant.meter_id,
        "metric": "ac_voltage_v",
        "value": 262.0,
        "threshold": 255.0,
        "severity": AlertSeverity.WARNING,
        "triggered_at": NOW + timedelta(minutes=begin),
        "resolved_at": None if end is None else NOW + timedelta(minutes=end),
    }
    return EdgeAlert(**(values | more))


async def merge(db: Database, plant: Plant, *alerts: EdgeAlert) -> AlertAck:
    async with db.transaction(plant.edge.context) as conn:
        return await merge_edge_alerts(conn, plant.edge, AlertBatch(alerts=alerts), now=NOW + timedelta(hours=6))


async def test_an_alert_merges_with_its_true_start_and_end(db: Database, plant: Plant) -> None:
    rule_id = await add_rule(db, plant, OVER_VOLTAGE)
    sent = alert(plant, rule_id)
    assert (await merge(db, plant, sent)).accepted == (sent.id,)
    assert (await merge(db, plant, sent, alert(plant, rule_id, end=12))).accepted == (sent.id, sent.id)
    stored = await rows_of(db, plant, "SELECT id, status, source, metric_value, triggered_at, resolved_at FROM alerts")
    assert stored == [
        {
            "id": sent.id,
            "status": "resolved",
            "source": "edge",
            "metric_value": 262.0,
            "triggered_at": NOW,
            "resolved_at": NOW + timedelta(minutes=12),
        }
    ]
    events = await rows_of(db, plant, "SELECT kind, at FROM alert_events ORDER BY at")
    assert events == [{"kind": "opened", "at": NOW}, {"kind": "resolved", "at": NOW + timedelta(minutes=12)}]


async def test_repeats_at_once_are_one_alert(db: Database, plant: Plant) -> None:
    rule_id = await add_rule(db, plant, OVER_VOLTAGE)
    await asyncio.gather(*(merge(db, plant, alert(plant, rule_id)) for _ in range(6)))
    assert len(await rows_of(db, plant, "SELECT 1 FROM alerts")) == 1
    assert len(await rows_of(db, plant, "SELECT 1 FROM alert_events")) == 1


async def test_an_acknowledged_alert_still_takes_the_edges_end(db: Database, plant: Plant) -> None:
    rule_id = await add_rule(db, plant, OVER_VOLTAGE)
    await merge(db, plant, alert(plant, rule_id))
    owner = (await rows_of(db, plant, "SELECT owner_id FROM organizations"))[0]["owner_id"]
    async with db.transaction(plant.edge.context) as conn:
        await service.acknowledge(conn, UUID(int=1000), user_id=owner, now=NOW + timedelta(minutes=1))
    await merge(db, plant, alert(plant, rule_id, end=12))
    assert await rows_of(db, plant, "SELECT status, acknowledged_by FROM alerts") == [
        {"status": "resolved", "acknowledged_by": owner}
    ]


async def test_an_agent_that_lost_its_store_ends_what_it_left_open(db: Database, plant: Plant) -> None:
    rule_id = await add_rule(db, plant, OVER_VOLTAGE)
    await merge(db, plant, alert(plant, rule_id))
    await merge(db, plant, alert(plant, rule_id, begin=30))
    stored = await rows_of(db, plant, "SELECT status, resolved_at FROM alerts ORDER BY triggered_at")
    assert stored == [
        {"status": "resolved", "resolved_at": NOW + timedelta(minutes=30)},
        {"status": "active", "resolved_at": None},
    ]


async def test_strangers_devices_rules_and_alerts_are_rejected_by_name(db: Database, plant: Plant) -> None:
    other = await make_plant(db, name="sara")
    mine, theirs = await add_rule(db, plant, OVER_VOLTAGE), await add_rule(db, other, OVER_VOLTAGE)
    await merge(db, other, alert(other, theirs, begin=5))
    ack = await merge(
        db,
        plant,
        alert(plant, mine, begin=1, device_id=other.meter_id),
        alert(plant, theirs, begin=2),
        alert(plant, mine, begin=3),
        alert(plant, mine, begin=4, device_id=new_id()),
    )
    assert ack.accepted == (UUID(int=1003),)
    assert ack.rejected == {
        UUID(int=1001): "device_unknown",
        UUID(int=1002): "rule_unknown",
        UUID(int=1004): "device_unknown",
    }


async def test_the_plan_carries_all_rules_but_those_about_silence(db: Database, plant: Plant) -> None:
    other = await make_plant(db, name="sara")
    wanted = await add_rule(db, plant, OVER_VOLTAGE, site_id=plant.site_id)
    everywhere = await add_rule(db, plant, OVER_VOLTAGE)
    await add_rule(db, plant, SILENT)
    await add_rule(db, plant, OVER_VOLTAGE, is_active=False)
    await add_rule(db, other, OVER_VOLTAGE)
    async with db.transaction(plant.edge.context) as conn:
        rules = await plan_rules(conn, site_id=plant.site_id, organization_id=plant.organization_id)
    assert {rule.id for rule in rules} == {wanted, everywhere}


async def hear(db: Database, plant: Plant, *device_ids: UUID, at: datetime) -> None:
    readings = [NewestReading(device_id=device_id, at=at, values={"ac_power_kw": 1.0}) for device_id in device_ids]
    async with db.transaction(plant.edge.context) as conn:
        await take_newest(conn, plant.edge, readings, now=at)
        await conn.execute(update(EdgeGateway).values(last_seen_at=at))


async def test_a_silent_device_is_one_alert_until_it_is_heard(db: Database, plant: Plant) -> None:
    await add_rule(db, plant, SILENT)
    await hear(db, plant, plant.inverter_id, plant.meter_id, at=NOW)
    await hear(db, plant, plant.inverter_id, at=NOW + timedelta(minutes=9))
    assert await sweep_no_data(db, NOW + timedelta(minutes=9.9)) == Swept()
    at = NOW + timedelta(minutes=10)
    results = await asyncio.gather(*(sweep_no_data(db, at) for _ in range(8)))
    assert sum(result.opened for result in results) == 1
    assert await sweep_no_data(db, at + timedelta(minutes=1)) == Swept()
    stored = await rows_of(db, plant, "SELECT device_id, status, triggered_at FROM alerts")
    assert stored == [{"device_id": plant.meter_id, "status": "active", "triggered_at": at}]
    await hear(db, plant, plant.inverter_id, plant.meter_id, at=at + timedelta(minutes=2))
    ends = await asyncio.gather(*(sweep_no_data(db, at + timedelta(minutes=2)) for _ in range(8)))
    assert sum(result.resolved for result in ends) == 1
    assert [row["kind"] for row in await rows_of(db, plant, "SELECT kind FROM alert_events ORDER BY at")] == [
        "opened",
        "resolved",
    ]


async def test_a_silent_gateway_is_one_alert_and_takes_over_from_its_devices(db: Database, plant: Plant) -> None:
    await add_rule(db, plant, SILENT)
    await hear(db, plant, plant.inverter_id, plant.meter_id, at=NOW)
    await hear(db, plant, plant.inverter_id, at=NOW + timedelta(minutes=11))
    assert await sweep_no_data(db, NOW + timedelta(minutes=12)) == Swept(opened=1)
    assert await sweep_no_data(db, NOW + timedelta(minutes=30)) == Swept(opened=1, resolved=1)
    stored = await rows_of(db, plant, "SELECT device_id, status FROM alerts ORDER BY triggered_at")
    assert stored == [
        {"device_id": plant.meter_id, "status": "resolved"},
        {"device_id": None, "status": "active"},
    ]
    details = await rows_of(db, plant, "SELECT detail ->> 'reason' AS reason FROM alert_events WHERE kind = 'resolved'")
    assert details == [{"reason": "the whole site is silent"}]


async def test_a_rule_of_one_type_watches_only_that_type(db: Database, plant: Plant) -> None:
    await add_rule(db, plant, SILENT | {"device_type": "inverter"})
    await hear(db, plant, plant.inverter_id, plant.meter_id, at=NOW)
    await hear(db, plant, at=NOW + timedelta(minutes=19))
    assert await sweep_no_data(db, NOW + timedelta(minutes=20)) == Swept(opened=1)
    assert await rows_of(db, plant, "SELECT device_id FROM alerts") == [{"device_id": plant.inverter_id}]


async def test_an_alert_ends_by_hand_once(db: Database, plant: Plant) -> None:
    rule_id = await add_rule(db, plant, OVER_VOLTAGE)
    await merge(db, plant, alert(plant, rule_id))
    async with db.transaction(plant.edge.context) as conn:
        owner = (await rows_of(db, plant, "SELECT owner_id FROM organizations"))[0]["owner_id"]
        ended = await service.resolve(conn, UUID(int=1000), user_id=owner, now=NOW + timedelta(hours=1))
        assert (ended.status, ended.resolved_by) == ("resolved", owner)
        with pytest.raises(AlertNotOpenError):
            await service.resolve(conn, UUID(int=1000), user_id=owner, now=NOW + timedelta(hours=2))
        with pytest.raises(AlertNotOpenError):
            await service.acknowledge(conn, UUID(int=1000), user_id=owner, now=NOW)
