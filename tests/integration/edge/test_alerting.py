"""Rules on the site: opened and ended once, whatever dies in between."""

from datetime import timedelta
from pathlib import Path
from uuid import UUID

from edge_agent.alerting import Alerting, alert_id, fits
from edge_agent.store.newest import read_newest
from edge_agent.store.state import peek_alerts, read_open_alerts, read_watches
from shared.alert_rules import Condition, Operator
from shared.enums import AlertSeverity, DeviceType, Quality
from shared.readings import Value
from shared.wire import EdgeAlert, EdgePlan, PlanRule
from tests.edge_world import GATEWAY, START, World, device, device_id, over_voltage, plan, world

PLAN = plan(device(1), device(2, kind=DeviceType.METER), rules=(over_voltage(),))


def alerting_of(box: World, with_plan: EdgePlan = PLAN) -> Alerting:
    alerting = Alerting(box.store, box.buffer, gateway_id=GATEWAY)
    alerting.apply(with_plan, box.timeline.now())
    return alerting


def watch(box: World, alerting: Alerting, voltages: list[Value], *, number: int = 1) -> None:
    for voltage in voltages:
        alerting.observe(box.say(number, ac_voltage_v=voltage))
        box.clock.step(10)  # type: ignore[union-attr]


async def queued(box: World) -> list[EdgeAlert]:
    await box.buffer.flush()
    return [alert for _, alert in await box.store.read(lambda connection: peek_alerts(connection, limit=100))]


async def test_a_breach_that_lasts_opens_one_alert_and_its_end_closes_it(tmp_path: Path) -> None:
    with world(tmp_path) as box:
        alerting = alerting_of(box)
        start = box.timeline.now() + timedelta(seconds=20)
        watch(box, alerting, [240.0, 241.0, *[262.0] * 10, 251.0, 240.0])
        opened, ended = await queued(box)
        rule = PLAN.rules[0].id
        assert opened.id == ended.id == alert_id(GATEWAY, rule, device_id(1), start)
        assert (opened.triggered_at, opened.resolved_at, opened.value) == (start, None, 262.0)
        assert ended.resolved_at == start + timedelta(seconds=110), "251 V is still within the hysteresis"
        assert alerting.open_alerts == {}


async def test_a_short_breach_opens_nothing(tmp_path: Path) -> None:
    with world(tmp_path) as box:
        watch(box, alerting_of(box), [262.0] * 6 + [240.0] + [262.0] * 6)
        assert await queued(box) == []


async def test_an_open_alert_and_its_watch_survive_a_restart(tmp_path: Path) -> None:
    with world(tmp_path) as box:
        watch(box, alerting_of(box), [262.0] * 8)
        (opened,) = await queued(box)
    with world(tmp_path, box.clock) as again:
        alerting = alerting_of(again)
        assert list(alerting.open_alerts.values()) == [opened]
        watch(again, alerting, [262.0, 240.0])
        assert [alert.id for alert in await queued(again)] == [opened.id] * 2


async def test_a_crash_before_the_flush_forgets_alert_watch_and_readings_alike(tmp_path: Path) -> None:
    with world(tmp_path) as box:
        watch(box, alerting_of(box), [262.0] * 8)
    with world(tmp_path, box.clock) as again:
        assert again.buffer.readings_total == 0
        assert await again.store.read(read_open_alerts) == {}
        assert await again.store.read(read_watches) == {}
        assert await queued(again) == []


async def test_an_alert_without_auto_resolve_stays_open_in_the_cloud(tmp_path: Path) -> None:
    with world(tmp_path) as box:
        alerting = alerting_of(box, plan(device(1), rules=(over_voltage(auto_resolve=False),)))
        watch(box, alerting, [262.0] * 8 + [240.0])
        (opened,) = await queued(box)
        assert opened.resolved_at is None
        watch(box, alerting, [262.0] * 8)
        assert len({alert.id for alert in await queued(box)}) == 2, "the next breach is another alert"


async def test_a_rule_that_leaves_the_plan_ends_its_alert(tmp_path: Path) -> None:
    with world(tmp_path) as box:
        alerting = alerting_of(box)
        watch(box, alerting, [262.0] * 8)
        alerting.apply(plan(device(1), revision=2), box.timeline.now())
        opened, ended = await queued(box)
        assert (opened.id, ended.resolved_at) == (ended.id, box.timeline.now())
        assert await box.store.read(read_watches) == {}


def no_data(duration_s: float) -> PlanRule:
    condition = Condition(metric="ac_power_kw", operator=Operator.NO_DATA, duration_seconds=duration_s)
    return PlanRule(id=UUID(int=5), name="Silent", condition=condition, severity=AlertSeverity.CRITICAL)


async def test_silence_opens_and_any_answer_ends_a_no_data_alert(tmp_path: Path) -> None:
    with world(tmp_path) as box:
        alerting = alerting_of(box, plan(device(1), rules=(no_data(120),)))
        alerting.observe(box.say(1, ac_power_kw=1.0))
        last_heard = box.timeline.now()
        for _ in range(3):
            box.clock.step(60)  # type: ignore[union-attr]
            alerting.observe_silence(device_id(1), box.timeline.now())
        box.clock.step(10)  # type: ignore[union-attr]
        alerting.observe(box.say(1, ac_voltage_v=230.0))
        opened, ended = await queued(box)
        assert (opened.triggered_at, ended.id) == (last_heard, opened.id)


async def test_a_reading_without_the_metric_says_nothing_about_it(tmp_path: Path) -> None:
    with world(tmp_path) as box:
        alerting = alerting_of(box)
        alerting.observe(box.say(1, ac_power_kw=1.0))
        alerting.observe(box.say(9, ac_voltage_v=300.0))
        await box.buffer.flush()
        assert await box.store.read(read_watches) == {}


def test_a_rule_fits_the_device_it_names_or_the_type_it_speaks_of() -> None:
    meters = Condition(metric="ac_voltage_v", operator=Operator.GT, threshold=1.0, device_type=DeviceType.METER)
    for_meters = over_voltage().model_copy(update={"condition": meters})
    assert [fits(for_meters, each) for each in PLAN.devices] == [False, True]
    assert [fits(over_voltage(number=1), each) for each in PLAN.devices] == [True, False]
    assert [fits(over_voltage(), each) for each in PLAN.devices] == [True, True]


def test_the_same_alert_has_the_same_id() -> None:
    ids = {alert_id(GATEWAY, over_voltage().id, device_id(number), START) for number in (1, 1, 2)}
    assert len(ids) == 2


async def test_link_down_neither_covers_nor_clears(tmp_path: Path) -> None:
    with world(tmp_path) as box:
        alerting = alerting_of(box)
        watch(box, alerting, [262.0] * 8)
        alerting.observe(box.say(1, quality=Quality.LINK_DOWN))
        assert len(alerting.open_alerts) == 1


async def test_an_alert_names_the_metric_by_its_own_name_and_channel(tmp_path: Path) -> None:
    rule = over_voltage(duration_s=0)
    aliased = rule.model_copy(
        update={"condition": Condition(metric="power_output", operator=Operator.GT, threshold=4.0, clear_threshold=3.0)}
    )
    phase = rule.model_copy(
        update={
            "id": UUID(int=5),
            "condition": Condition(metric="ac_voltage_v.l2", operator=Operator.GT, threshold=253.0),
        }
    )
    with world(tmp_path) as box:
        alerting = alerting_of(box, plan(device(1), rules=(aliased, phase)))
        alerting.observe(box.say(1, ac_power_kw=5.0, **{"ac_voltage_v.l1": 260.0, "ac_voltage_v.l2": 255.0}))
        opened = await queued(box)
    assert [(each.metric, each.value, each.threshold) for each in opened] == [
        ("ac_power_kw", 5.0, 4.0),
        ("ac_voltage_v.l2", 255.0, 253.0),
    ]


async def test_rows_that_rotted_stop_neither_the_start_nor_the_other_alerts(tmp_path: Path) -> None:
    with world(tmp_path) as box:
        watch(box, alerting_of(box, plan(device(1), device(2), rules=(over_voltage(duration_s=0),))), [262.0])
        watch(box, alerting_of(box, plan(device(1), device(2), rules=(over_voltage(duration_s=0),))), [262.0], number=2)
        assert len(await queued(box)) == 2
        for table in ("alerts", "alert_outbox", "newest"):
            await box.store.write(
                lambda connection, table=table: connection.execute(
                    f"UPDATE {table} SET body = '{{' || body WHERE rowid = 1"  # noqa: S608  names from the line above
                    if table == "alert_outbox"
                    else f"UPDATE {table} SET body = '{{' || body WHERE device_id = ?",  # noqa: S608  as above
                    () if table == "alert_outbox" else (str(device_id(1)),),
                ).close()
            )
        assert list(await box.store.read(read_newest)) == [device_id(2)]
        again = Alerting(box.store, box.buffer, gateway_id=GATEWAY)
        assert [key[1] for key in again.open_alerts] == [device_id(2)]
        assert [each.device_id for each in await queued(box)] == [device_id(2)]
