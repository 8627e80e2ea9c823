"""The three lanes against a cloud on a real socket that refuses, forgets and breaks off."""

import asyncio
import gzip
import json
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from edge_agent.alerting import Alerting
from edge_agent.clock import Clock
from edge_agent.config import EdgeSettings
from edge_agent.enrol import agent_facts
from edge_agent.store.state import LAST_ACK_AT, LAST_ERROR, get_fact, read_events, read_plan
from edge_agent.supervise import Progress
from edge_agent.sync.alerts import AlertLane
from edge_agent.sync.backfill import BackfillLane
from edge_agent.sync.live import LiveLane, plan_fault
from edge_agent.sync.session import Session
from edge_agent.uplink import Uplink
from shared.readings import Reading
from shared.wire import EdgePlan, NewestReading, ReadingBatch
from tests.edge_world import (
    CREDENTIAL,
    GATEWAY,
    START,
    FakeCloud,
    Line,
    SteppedClock,
    World,
    device,
    device_id,
    eventually,
    fast_clock,
    line_to,
    over_voltage,
    plan,
    problem,
    serving,
    settings,
    world,
)

PLAN = plan(device(1), rules=(over_voltage(),))


@dataclass
class Lanes:
    box: World
    cloud: FakeCloud
    session: Session
    live: LiveLane
    backfill: BackfillLane
    alerts: AlertLane
    uplink: Uplink
    plans: list[EdgePlan] = field(default_factory=list)

    @contextmanager
    def running(self, *lanes: str) -> AsyncIterator[None]:  # type: ignore[misc]
        tasks = [asyncio.create_task(getattr(self, lane).run()) for lane in lanes]
        try:
            yield  # type: ignore[misc]
        finally:
            for task in tasks:
                assert not task.done(), task
                task.cancel()

    async def events(self) -> list[str]:
        await self.box.buffer.flush()
        return [event.kind for event in await self.box.store.read(lambda connection: read_events(connection, limit=50))]

    def is_drained(self) -> bool:
        return self.box.buffer.depth.flushes == 0


@asynccontextmanager
async def lanes(
    folder: Path,
    *,
    clock: Clock | None = None,
    cloud: FakeCloud | None = None,
    line: Callable[[Line], None] | None = None,
    credential: str = CREDENTIAL,
    **changes: object,
) -> AsyncIterator[Lanes]:
    cloud = cloud or FakeCloud(PLAN)
    clock = clock or fast_clock(4000)
    config: EdgeSettings = settings(folder, **changes)
    async with serving(cloud) as port, line_to(port) as (relay, line_port):
        if line is not None:
            line(relay)
        with world(folder, clock) as box:  # type: ignore[arg-type]
            url = f"http://127.0.0.1:{port if line is None else line_port}"
            async with Uplink(url, clock=clock, credential=SecretStr(credential), timeout_s=3) as uplink:
                progress = Progress({"sync": 1.0})
                session = Session(uplink, clock=clock, timeline=box.timeline, buffer=box.buffer, progress=progress)
                plans: list[EdgePlan] = []

                async def take(new: EdgePlan) -> None:
                    plans.append(new)

                newest = NewestReading(device_id=device_id(1), at=START, values={"ac_power_kw": 1.0})
                live = LiveLane(
                    session,
                    uplink,
                    clock=clock,
                    store=box.store,
                    timeline=box.timeline,
                    buffer=box.buffer,
                    interval_s=10,
                    facts=agent_facts(),
                    newest=lambda: (newest,),
                    plan_revision=1,
                    on_plan=take,
                )
                backfill = BackfillLane(
                    session,
                    uplink,
                    settings=config,
                    clock=clock,
                    timeline=box.timeline,
                    buffer=box.buffer,
                    progress=progress,
                    heard=live.heard,
                )
                alerts = AlertLane(session, uplink, store=box.store, buffer=box.buffer)
                yield Lanes(box, cloud, session, live, backfill, alerts, uplink, plans)


def arrived(run: Lanes, said: list[Reading]) -> None:
    """Exactly what was said is in the cloud, under its moments."""
    assert {(reading.device_id, reading.at): dict(reading.values) for reading in said} == run.cloud.rows


def readings_in(batch: ReadingBatch) -> int:
    return sum(len(stretch.seqs) for stretch in batch.stretches)


async def test_a_backlog_arrives_whole_and_once_in_batches(tmp_path: Path) -> None:
    async with lanes(tmp_path, batch_readings=10) as run:
        said = await run.box.fill(25, per_flush=3)
        with run.running("backfill"):
            await eventually(run.is_drained)
            said += await run.box.fill(2)
            await eventually(run.is_drained)
        arrived(run, said)
        assert run.cloud.duplicates == 0
        assert all(0 < readings_in(batch) <= 10 for batch in run.cloud.batches)
        assert await run.box.store.read(lambda connection: get_fact(connection, LAST_ACK_AT)) is not None


async def test_a_lost_acknowledgement_doubles_nothing(tmp_path: Path) -> None:
    def swallow(line: Line) -> None:
        line.swallow_answers = 3

    async with lanes(tmp_path, line=swallow, batch_readings=6) as run:
        said = await run.box.fill(12)
        with run.running("backfill"):
            await eventually(run.is_drained)
        arrived(run, said)
        assert len(run.cloud.batches) > len({batch.first_seq for batch in run.cloud.batches}), (
            "something was sent again"
        )
        assert run.cloud.duplicates == 0


async def test_a_line_that_breaks_in_the_middle_of_a_batch_carries_smaller_ones(tmp_path: Path) -> None:
    relay: list[Line] = []

    def narrow(line: Line) -> None:
        line.cut_request_after = 6_000
        relay.append(line)

    async with lanes(tmp_path, line=narrow) as run:
        said = []
        for flush in range(30):
            values = {f"own_{key}": math.sin(flush * 100 + key) for key in range(60)}
            said.append(run.box.say(1, **values))  # type: ignore[arg-type]
            await run.box.buffer.flush()
        with run.running("backfill"):
            await eventually(run.is_drained)
        arrived(run, said)
        assert relay[0].cuts >= 1
        assert run.cloud.duplicates == 0


async def test_retry_after_is_obeyed_and_nothing_is_lost(tmp_path: Path) -> None:
    cloud = FakeCloud(PLAN)
    asked: list[float] = []
    loop = asyncio.get_running_loop()

    def busy(_: Request) -> Response:
        asked.append(loop.time())
        return problem(503, "overloaded", headers={"Retry-After": "200"})

    cloud.fail("readings", busy, busy)
    async with lanes(tmp_path, cloud=cloud, clock=fast_clock(400)) as run:
        said = await run.box.fill(3)
        with run.running("backfill"):
            await eventually(run.is_drained)
        arrived(run, said)
        assert loop.time() - asked[0] >= 1.0, "twice 200 s of a clock 400 times as fast"
        assert asked[1] - asked[0] >= 0.5


async def test_a_revoked_credential_keeps_everything_and_is_tried_again_slowly(tmp_path: Path) -> None:
    cloud = FakeCloud(PLAN)
    cloud.fail("readings", *[problem(401, "credential_invalid") for _ in range(3)])
    async with lanes(tmp_path, cloud=cloud) as run:
        said = await run.box.fill(3)
        with run.running("backfill"):
            await eventually(lambda: run.session.state.is_refused)
            assert "401" in str(run.session.state.error)
            await run.box.buffer.flush()
            stored = await run.box.store.read(lambda connection: get_fact(connection, LAST_ERROR))
            assert json.loads(str(stored))["lane"] == "backfill"
            assert run.box.buffer.depth.readings == 6
            await eventually(run.is_drained)
        arrived(run, said)
        assert not run.session.state.is_refused
        assert (await run.events()).count("credential_refused") == 1
        assert await run.box.store.read(lambda connection: get_fact(connection, LAST_ERROR)) is None


async def test_a_body_that_is_too_large_is_halved_until_it_fits(tmp_path: Path) -> None:
    cloud = FakeCloud(PLAN, most_body_bytes=900)
    async with lanes(tmp_path, cloud=cloud) as run:
        said = await run.box.fill(60)
        with run.running("backfill"):
            await eventually(run.is_drained)
        arrived(run, said)
        assert (await run.events()).count("flush_quarantined") == 0


async def test_one_flush_that_the_cloud_cannot_take_is_kept_here_and_the_rest_goes(tmp_path: Path) -> None:
    cloud = FakeCloud(PLAN)

    def refuse_seven(request: Request) -> Response | None:
        body = request._body
        text = gzip.decompress(body) if request.headers.get("content-encoding") == "gzip" else body
        if any(7 in stretch["seqs"] for stretch in json.loads(text)["stretches"]):
            return problem(422, "validation_failed", errors=[{"field": "$.stretches[0].seqs", "message": "no"}])
        return None

    cloud.fail("readings", *[refuse_seven] * 50)
    async with lanes(tmp_path, cloud=cloud) as run:
        said = await run.box.fill(12)
        with run.running("backfill"):
            await eventually(run.is_drained)
        arrived(run, [*said[:12], *said[14:]])
        rows = await run.box.store.read(
            lambda connection: connection.execute("SELECT seq, n, reason FROM quarantine").fetchall()
        )
        assert [(seq, n) for seq, n, _ in rows] == [(7, 2)]
        assert rows[0][2].startswith("validation_failed")
        assert "flush_quarantined" in await run.events()


async def test_a_schema_that_the_cloud_does_not_know_quarantines_nothing(tmp_path: Path) -> None:
    cloud = FakeCloud(PLAN)
    cloud.fail(
        "readings",
        problem(422, "schema_version_unsupported"),
        problem(403, "forbidden"),
        problem(409, "epoch_superseded"),
    )
    async with lanes(tmp_path, cloud=cloud) as run:
        said = await run.box.fill(2)
        with run.running("backfill"):
            await eventually(run.is_drained)
        arrived(run, said)
        assert (await run.events()).count("upload_refused") >= 1


async def test_the_cloud_that_has_more_than_was_acknowledged_is_believed(tmp_path: Path) -> None:
    async with lanes(tmp_path) as run:
        said = await run.box.fill(6)
        ahead = await run.box.buffer.peek(max_readings=6, max_bytes=1_000_000)
        run.cloud.fail("readings", problem(409, "sequence_gap", expected_seq=ahead[-1].seq + 1))
        run.cloud.acked[run.box.buffer.epoch] = ahead[-1].seq
        with run.running("backfill"):
            await eventually(run.is_drained)
        arrived(run, said[6:])
        assert "epoch_begun" not in await run.events()


async def test_a_cloud_that_lost_what_was_acknowledged_gets_a_new_epoch(tmp_path: Path) -> None:
    async with lanes(tmp_path) as run:
        await run.box.fill(5)
        await run.box.buffer.ack(3)  # the cloud was restored to a state before these
        said = await run.box.fill(2)
        with run.running("backfill"):
            await eventually(run.is_drained)
        assert {reading.at for reading in said} <= {at for _, at in run.cloud.rows}
        assert len(run.cloud.rows) == 8
        assert await run.events() == ["epoch_begun"]
        assert list(run.cloud.acked) == [run.box.buffer.epoch]


async def test_a_copied_card_that_lags_behind_its_cloud_loses_no_reading(tmp_path: Path) -> None:
    async with lanes(tmp_path) as run:
        run.cloud.acked[run.box.buffer.epoch] = 40  # the other copy has sent forty flushes
        run.cloud.fail("readings", problem(409, "sequence_gap", expected_seq=41))
        said = await run.box.fill(3)
        with run.running("backfill"):
            await eventually(run.is_drained)
        arrived(run, said)


@pytest.mark.parametrize("expected", [1, None, "x"])
async def test_a_contradiction_is_waited_out_not_obeyed(tmp_path: Path, expected: object) -> None:
    cloud = FakeCloud(PLAN)
    cloud.fail("readings", problem(409, "sequence_gap", expected_seq=expected))
    async with lanes(tmp_path, cloud=cloud) as run:
        said = await run.box.fill(2)
        with run.running("backfill"):
            await eventually(run.is_drained)
        arrived(run, said)
        assert await run.events() == ["upload_refused"]


async def test_no_acknowledgement_deletes_what_was_not_sent(tmp_path: Path) -> None:
    cloud = FakeCloud(PLAN)
    boast = {"schema_version": 1, "stored": 1, "duplicates": 0, "flagged": 0, "server_time": START.isoformat()}
    cloud.fail(
        "readings",
        PlainTextResponse(json.dumps({**boast, "acked_seq": 1_000_000}), media_type="application/json"),
        PlainTextResponse(json.dumps({**boast, "acked_seq": 0}), media_type="application/json"),
    )
    async with lanes(tmp_path, cloud=cloud, batch_readings=2) as run:
        await run.box.fill(3)
        assert await run.backfill._send_oldest()
        assert (run.box.buffer.depth.acked_seq, run.box.buffer.depth.readings) == (1, 4)
        assert await run.backfill._send_oldest()
        assert (run.box.buffer.depth.acked_seq, run.box.buffer.depth.readings) == (1, 4)


async def test_a_login_page_of_the_network_is_not_the_cloud(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cloud = FakeCloud(PLAN)
    cloud.fail("readings", PlainTextResponse("<html>Please log in</html>", media_type="text/html"))
    async with lanes(tmp_path, cloud=cloud) as run:
        said = await run.box.fill(2)
        with run.running("backfill"):
            await eventually(run.is_drained)
        arrived(run, said)
        (record,) = (record for record in caplog.records if record.message == "cloud_unavailable")
        assert "log-in page" in record.__dict__["error"]


async def test_readings_that_the_cloud_rejects_are_on_record(tmp_path: Path) -> None:
    cloud = FakeCloud(PLAN, unknown_devices={device_id(1)})
    async with lanes(tmp_path, cloud=cloud) as run:
        await run.box.fill(1)
        with run.running("backfill"):
            await eventually(run.is_drained)
        assert await run.events() == ["readings_rejected"]


async def test_the_rate_limit_spreads_the_backlog(tmp_path: Path) -> None:
    async with lanes(tmp_path, clock=fast_clock(100), batch_readings=2, rate_limit_bytes_per_s=10) as run:
        await run.box.fill(3)
        loop = asyncio.get_running_loop()
        began = loop.time()
        with run.running("backfill"):
            await eventually(lambda: len(run.cloud.batches) == 3)
        assert loop.time() - began >= 2 * 200 / 10 / 100, "each batch has more than 200 bytes"


# --- live lane


async def test_the_heartbeat_says_what_waits_and_what_is_newest(tmp_path: Path) -> None:
    async with lanes(tmp_path) as run:
        await run.box.fill(2)
        with run.running("live"):
            await eventually(lambda: len(run.cloud.heartbeats) >= 2)
        heartbeat = run.cloud.heartbeats[0]
        assert (heartbeat.buffer.pending_readings, heartbeat.buffer.pending_flushes) == (4, 2)
        assert heartbeat.buffer.oldest_at is not None
        assert heartbeat.buffer.store_bytes > 0
        assert (heartbeat.plan_revision, heartbeat.epoch) == (1, run.box.buffer.epoch)
        assert heartbeat.newest[0].values == {"ac_power_kw": 1.0}
        assert heartbeat.facts.agent_version
        assert run.cloud.plan_requests == 0


async def test_a_newer_plan_is_fetched_stored_and_put_in_force_once(tmp_path: Path) -> None:
    newer = plan(device(1), device(2), revision=7)
    async with lanes(tmp_path, cloud=FakeCloud(newer)) as run:
        with run.running("live"):
            await eventually(lambda: len(run.cloud.heartbeats) >= 3)
        assert run.plans == [newer]
        assert run.cloud.plan_requests == 1
        assert await run.box.store.read(read_plan) == newer
        assert run.cloud.heartbeats[-1].plan_revision == 7
        assert "plan_applied" in await run.events()


@pytest.mark.parametrize(
    "raw",
    [
        {"revision": 9, "site": {}},
        plan(device(1), device(1), revision=9).model_dump(mode="json"),
        plan(revision=9, timezone="Asia/Atlantis").model_dump(mode="json"),
        {**plan(revision=9).model_dump(mode="json"), "schema_version": 99},
    ],
)
async def test_a_plan_that_is_of_no_use_is_refused_and_the_old_one_stays(tmp_path: Path, raw: object) -> None:
    async with lanes(tmp_path, cloud=FakeCloud(plan(revision=9), raw_plan=raw)) as run:
        with run.running("live"):
            await eventually(lambda: len(run.cloud.heartbeats) >= 4)
        assert run.plans == []
        assert run.cloud.plan_requests == 1, "the same plan is not asked for again"
        assert run.live.plan_revision == 1
        assert await run.events() == ["plan_refused"]


def test_a_good_plan_has_no_fault() -> None:
    assert plan_fault(PLAN) is None


async def test_readings_of_an_unsure_clock_wait_for_the_clouds_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_agent.store.boots.is_synchronised", lambda _: False)
    clock = SteppedClock(wall=datetime(2017, 1, 1, tzinfo=UTC))
    async with lanes(tmp_path, clock=clock, cloud=FakeCloud(PLAN, server_time=START)) as run:
        said = await run.box.fill(2)
        clock.step = lambda _: None  # type: ignore[method-assign]
        with run.running("backfill"):
            await asyncio.sleep(0.1)
            assert run.cloud.batches == []
            with run.running("live"):
                await eventually(run.is_drained)
        shift = START - timedelta(seconds=40) - said[0].at
        assert {at for _, at in run.cloud.rows} == {reading.at + shift for reading in said}
        [stretch] = run.cloud.batches[0].stretches
        assert stretch.quality == (0,) * len(stretch.seqs), "nothing is unsure any more"


async def test_a_cloud_that_is_away_is_found_again_by_every_lane(tmp_path: Path) -> None:
    cloud = FakeCloud(PLAN)
    for path in ("heartbeat", "readings"):
        cloud.fail(path, *[problem(502, "") for _ in range(4)])
    async with lanes(tmp_path, cloud=cloud) as run:
        await run.box.fill(1)
        with run.running("live", "backfill", "alerts"):
            await eventually(
                lambda: run.is_drained() and len(cloud.heartbeats) >= 1 and run.session.state.error is None
            )
        assert run.session.state.online


# --- alert lane


async def breach(run: Lanes) -> Alerting:
    alerting = Alerting(run.box.store, run.box.buffer, gateway_id=GATEWAY)
    alerting.apply(plan(device(1), rules=(over_voltage(duration_s=0),)), run.box.timeline.now())
    for voltage in (262.0, 240.0):
        await asyncio.sleep(0.005)
        alerting.observe(run.box.say(1, ac_voltage_v=voltage))
    await run.box.buffer.flush()
    return alerting


async def waiting_alerts(run: Lanes) -> int:
    count = await run.box.store.read(
        lambda connection: connection.execute("SELECT count(*) FROM alert_outbox").fetchone()
    )
    return int(count[0])


async def test_openings_and_ends_arrive_in_order_and_leave_the_outbox(tmp_path: Path) -> None:
    async with lanes(tmp_path) as run:
        with run.running("alerts"):
            await breach(run)
            async with asyncio.timeout(10):
                while await waiting_alerts(run):  # noqa: ASYNC110  a look into the file, nobody signals it
                    await asyncio.sleep(0.01)
        sent = [alert for batch in run.cloud.alert_batches for alert in batch.alerts]
        assert [alert.resolved_at is None for alert in sent] == [True, False]
        assert sent[0].id == sent[1].id


async def test_an_alert_that_the_cloud_cannot_read_does_not_hold_up_the_next(tmp_path: Path) -> None:
    cloud = FakeCloud(PLAN)
    cloud.fail("alerts", *[problem(422, "validation_failed")] * 2)
    async with lanes(tmp_path, cloud=cloud) as run:
        await breach(run)
        with run.running("alerts"):
            await eventually(lambda: bool(cloud.alert_batches))
        assert [alert.resolved_at is None for batch in cloud.alert_batches for alert in batch.alerts] == [False]
        assert await run.events() == ["alerts_rejected"]


async def test_an_answer_that_names_no_alert_is_no_progress(tmp_path: Path) -> None:
    cloud = FakeCloud(PLAN)
    empty = {"schema_version": 1, "accepted": [str(uuid4())]}
    cloud.fail("alerts", PlainTextResponse(json.dumps(empty), media_type="application/json"))
    async with lanes(tmp_path, cloud=cloud) as run:
        await breach(run)
        with run.running("alerts"):
            await eventually(lambda: bool(cloud.alert_batches))
        assert "upload_refused" in await run.events()


async def test_the_credential_is_in_no_log_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    cloud = FakeCloud(PLAN)
    cloud.fail("readings", problem(401, "credential_invalid"), problem(500, "broken"))
    async with lanes(tmp_path, cloud=cloud) as run:
        await run.box.fill(1)
        with run.running("live", "backfill"):
            await eventually(run.is_drained)
    assert caplog.records
    assert "secret-of-the-test" not in caplog.text
    assert not any("secret-of-the-test" in repr(record.__dict__) for record in caplog.records)
