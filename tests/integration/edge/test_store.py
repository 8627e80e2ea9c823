"""The store on a real disk: killed, damaged, full, opened twice."""

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import zlib
from datetime import timedelta
from pathlib import Path

import pytest

from edge_agent.store.buffer import MAX_FLUSH_READINGS, READINGS_UNSTORED
from edge_agent.store.file import FILE_NAME, StoreBusyError, StoreError, StoreFile, connect
from edge_agent.store.newest import read_newest
from edge_agent.store.outbox import counter
from edge_agent.store.outbox import depth as stored_depth
from edge_agent.store.state import read_events, read_plan, save_plan
from edge_agent.store.status import read_status
from shared.enums import Quality, TimeQuality
from shared.wire import MAX_READINGS_PER_BATCH, Flush
from tests.edge_world import START, SteppedClock, World, device, device_id, opened, plan, world

WRITER = """
import asyncio, sys
from pathlib import Path
from tests.edge_world import SteppedClock, world

async def main() -> None:
    with world(Path(sys.argv[1]), SteppedClock()) as box:
        while True:
            for number in range(5):
                box.say(number, ac_power_kw=1.5, energy_total_kwh=100.0)
                box.clock.step(0.1)
            await box.buffer.flush()
            print(box.buffer.readings_total, flush=True)
            if box.buffer.depth.last_seq % 7 == 0:
                await box.buffer.ack(box.buffer.depth.last_seq - 3)

asyncio.run(main())
"""


def moments(flushes: list[Flush]) -> list[object]:
    return [
        flush.started_at + timedelta(milliseconds=offset)
        for flush in flushes
        for block in flush.blocks
        for offset in block.offsets_ms
    ]


async def everything(box: World) -> list[Flush]:
    return await box.buffer.peek(max_readings=1_000_000, max_bytes=1_000_000_000)


@pytest.mark.parametrize("lines", [1, 8, 23])
def test_a_process_killed_while_it_writes_loses_nothing_committed(tmp_path: Path, lines: int) -> None:
    child = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    with child.stdout as output:
        for _ in range(lines):
            said = int(output.readline())
        os.kill(child.pid, signal.SIGKILL)
        said = max([said, *(int(line) for line in output.read().split("\n") if line.strip().isdigit())])
    child.wait()
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
    with world(tmp_path, SteppedClock()) as box:
        assert box.store.rebuilt is None
        assert said <= box.buffer.readings_total <= said + 5
        assert box.buffer.depth.readings == box.buffer.readings_total - 5 * box.buffer.depth.acked_seq


async def test_a_flush_is_one_row_and_one_object_on_the_wire(tmp_path: Path) -> None:
    with world(tmp_path) as box:
        box.say(1, ac_power_kw=3.2, energy_total_kwh=12345.6)
        box.clock.step(0.25)
        box.say(2, quality=Quality.LINK_DOWN)
        assert await box.buffer.flush() == 2
        (flush,) = await everything(box)
    assert (flush.seq, flush.started_at, flush.time_quality) == (
        1,
        box.timeline.boot.date(100_000),
        box.timeline.boot.time_quality,
    )
    assert [(block.device_id, block.offsets_ms, block.quality, block.values) for block in flush.blocks] == [
        (device_id(1), (0,), (0,), {"ac_power_kw": (3.2,), "energy_total_kwh": (12345.6,)}),
        (device_id(2), (250,), (int(Quality.LINK_DOWN),), {}),
    ]


async def test_peek_stops_at_both_limits_and_gives_at_least_one_flush(tmp_path: Path) -> None:
    with world(tmp_path) as box:
        await box.fill(5, per_flush=3)
        assert [each.seq for each in await box.buffer.peek(max_readings=7, max_bytes=1_000_000)] == [1, 2]
        assert [each.seq for each in await box.buffer.peek(max_readings=1, max_bytes=1_000_000)] == [1]
        assert [each.seq for each in await box.buffer.peek(max_readings=100, max_bytes=1)] == [1]
        text = len((await box.buffer.peek(max_readings=1, max_bytes=1))[0].model_dump_json())
        assert len(await box.buffer.peek(max_readings=100, max_bytes=3 * text + 300)) in (2, 3)


async def test_an_acknowledgement_deletes_no_more_than_it_says(tmp_path: Path) -> None:
    with world(tmp_path) as box:
        await box.fill(4)
        await box.buffer.ack(2)
        assert [each.seq for each in await everything(box)] == [3, 4]
        await box.buffer.ack(1)
        await box.buffer.ack(0)
        assert box.buffer.depth.acked_seq == 2
        await box.buffer.ack(99)
        assert (box.buffer.depth.acked_seq, box.buffer.depth.readings) == (4, 0)
        await box.fill(1)
        assert [each.seq for each in await everything(box)] == [5]
        assert box.buffer.readings_total == 10


async def test_what_cannot_be_written_is_kept_in_memory_and_counted_once(tmp_path: Path) -> None:
    with world(tmp_path) as box:
        box.say(ac_power_kw=1.0)

        def fail(_: sqlite3.Connection) -> None:
            raise sqlite3.OperationalError("database or disk is full")

        box.buffer.stage(fail)
        for _ in range(2):
            with pytest.raises(sqlite3.OperationalError, match="disk is full"):
                await box.buffer.flush()
        assert (box.buffer.readings_total, box.buffer.depth.readings) == (0, 0)
        box.buffer._pending.writes.clear()
        assert await box.buffer.flush() == 1
        assert (box.buffer.readings_total, box.buffer.depth.readings) == (1, 1)


async def test_a_flush_that_is_cancelled_while_it_commits_is_committed_once(tmp_path: Path) -> None:
    with world(tmp_path) as box:
        box.say(ac_power_kw=1.0)
        writing, go_on = threading.Event(), threading.Event()

        def linger(_: sqlite3.Connection) -> None:
            writing.set()
            go_on.wait(10)

        box.buffer.stage(linger)
        task = asyncio.create_task(box.buffer.flush())
        await asyncio.to_thread(writing.wait, 10)
        task.cancel()
        await asyncio.sleep(0.01)
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await box.buffer.flush() == 0
        assert (box.buffer.readings_total, box.buffer.depth.readings) == (1, 1)
        assert await box.store.read(stored_depth) == box.buffer.depth


async def test_a_value_that_cannot_be_stored_does_not_spoil_the_flush(tmp_path: Path) -> None:
    with world(tmp_path) as box:
        box.say(ac_power_kw=1.0)
        with pytest.raises(TypeError, match="ac_power_kw is"):
            box.say(ac_power_kw=[1.0])  # type: ignore[arg-type]
        assert await box.buffer.flush() == 1


async def test_a_refused_flush_is_set_aside_and_its_number_travels_empty(tmp_path: Path) -> None:
    with world(tmp_path) as box:
        said = await box.fill(3)
        await box.buffer.set_aside(2, "validation_failed")
        flushes = await everything(box)
        assert [(each.seq, each.reading_count) for each in flushes] == [(1, 2), (2, 0), (3, 2)]
        assert moments(flushes) == [each.at for each in (*said[:2], *said[4:])]
        await box.buffer.set_aside(3, "validation_failed")
        assert [(each.seq, each.reading_count) for each in await everything(box)] == [(1, 2), (2, 0), (3, 0)]
        assert box.buffer.depth.readings == 2
        await box.buffer.flush()
    status = read_status(tmp_path)
    assert status.quarantined_flushes == 2
    assert [event.kind for event in status.events] == ["flush_quarantined"] * 2


async def test_bytes_that_rotted_in_a_row_stop_nothing(tmp_path: Path) -> None:
    with world(tmp_path) as box:
        await box.fill(3)
        await box.store.write(
            lambda connection: connection.execute("UPDATE outbox SET payload = x'00ff' WHERE seq = 1").close()
        )
        await box.store.write(
            lambda connection: connection.execute(
                "UPDATE outbox SET payload = ? WHERE seq = 3", (zlib.compress(b'[{"device_id": 5}]'),)
            ).close()
        )
        first = await everything(box)
        assert [(each.seq, each.reading_count) for each in first] == [(1, 0), (2, 2)]
        await box.buffer.ack(2)
        await box.fill(1)
        assert [(each.seq, each.reading_count) for each in await everything(box)] == [(3, 0), (4, 2)]


async def test_a_new_epoch_numbers_what_waits_from_one(tmp_path: Path) -> None:
    with world(tmp_path) as box:
        said = await box.fill(4)
        await box.buffer.ack(2)
        before = box.buffer.epoch
        await box.buffer.begin_epoch("the cloud was restored")
        flushes = await everything(box)
        assert box.buffer.epoch != before
        assert [each.seq for each in flushes] == [1, 2]
        assert moments(flushes) == [each.at for each in said[4:]]
        await box.fill(1)
        assert [each.seq for each in await everything(box)] == [1, 2, 3]
        assert box.buffer.readings_total == 10


async def test_two_agents_cannot_use_one_store(tmp_path: Path) -> None:
    with opened(tmp_path), pytest.raises(StoreBusyError, match="stop it first"):
        StoreFile(tmp_path).open()
    with opened(tmp_path):
        pass  # free again


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="check the disk"):
        StoreFile(tmp_path / "file" / "store").open()


def test_the_files_are_nobody_elses(tmp_path: Path) -> None:
    with opened(tmp_path / "data"):
        assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
        assert (tmp_path / "data" / FILE_NAME).stat().st_mode & 0o777 == 0o600


async def test_a_file_that_is_no_database_is_set_aside_and_polling_goes_on(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"this is not a database, whatever the name says" * 200)
    with world(tmp_path) as box:
        assert box.store.rebuilt is not None
        assert (tmp_path / f"{FILE_NAME}.broken-1").read_bytes().startswith(b"this is not")
        await box.fill(2)
        assert box.buffer.depth.readings == 4


def damage(path: Path, table: str) -> None:
    """Overwrite the root page of a table."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    page, size = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()[0], 4096
    connection.close()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)


async def test_a_file_damaged_between_runs_is_rebuilt_with_what_can_be_read(tmp_path: Path) -> None:
    with world(tmp_path) as box:
        await box.fill(30)
        epoch = box.buffer.epoch
        await box.store.write(lambda connection: save_plan(connection, plan(device()), START))
    damage(tmp_path / FILE_NAME, "outbox")
    with world(tmp_path) as box:
        rebuilt = box.store.rebuilt
        assert rebuilt is not None
        assert rebuilt.salvaged["outbox_broken_off"] == 1
        assert box.buffer.epoch != epoch
        assert box.buffer.readings_total == 60, "what was ever committed stays counted"
        assert await box.store.read(read_plan) == plan(device())
        await box.fill(1)
        assert [each.seq for each in await everything(box)] == [1]


async def test_a_file_that_breaks_while_the_agent_runs_loses_no_waiting_reading(tmp_path: Path) -> None:
    clock = SteppedClock()
    with world(tmp_path, clock) as box:
        said = await box.fill(20)
        await box.buffer.ack(5)
        epoch = box.buffer.epoch
        await box.store.write(lambda connection: connection.execute("PRAGMA cache_size = 0").close())
        damage(tmp_path / FILE_NAME, "counters")
        box.store._writer = connect(tmp_path / FILE_NAME)  # a connection that has nothing of the file in memory
        said += await box.fill(2)
        assert box.store.rebuilt is not None
        assert box.buffer.epoch != epoch
        assert moments(await everything(box)) == [each.at for each in said[10:]]
        assert box.buffer.readings_total == 44
        assert box.buffer.depth.readings == 34


def rot_overflow_of_first_row(path: Path) -> None:
    """Point the first row's overflow chain to a page that does not exist: a scan of the table does not notice."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    payload = connection.execute("SELECT payload FROM outbox ORDER BY seq LIMIT 1").fetchone()[0]
    connection.close()
    data = path.read_bytes()
    at = data.index(payload[:64])
    end = next(end for end in range(at + 64, len(data)) if data[at:end] != payload[: end - at]) - 1
    with path.open("r+b") as file:
        file.seek(end)
        file.write(b"\x7f\xff\xff\xff")


async def test_a_row_that_only_a_reader_meets_is_skipped_and_those_behind_it_are_saved(tmp_path: Path) -> None:
    with world(tmp_path) as box:
        rng = random.Random(1)  # noqa: S311  values that do not compress, the same in every run
        for number in range(300):
            box.say(number, ac_power_kw=rng.random(), energy_total_kwh=rng.random() * 1e6)
        await box.buffer.flush()
        said = await box.fill(20)
        await box.store.write(lambda connection: connection.execute("PRAGMA cache_size = 0").close())
        rot_overflow_of_first_row(tmp_path / FILE_NAME)
        assert moments(await everything(box)) == [each.at for each in said]
        assert box.store.rebuilt is not None
        assert box.store.rebuilt.salvaged["outbox_broken_off"] == 1
        assert box.buffer.depth.readings == len(said)


async def test_a_rebuilding_that_fails_leaves_the_broken_file_for_the_next_attempt(tmp_path: Path) -> None:
    with world(tmp_path) as box:
        said = await box.fill(10)
        said.append(box.say(ac_power_kw=9.0))
        damage(tmp_path / FILE_NAME, "counters")

        def no_space(_: sqlite3.Connection) -> None:
            raise sqlite3.OperationalError("database or disk is full")

        box.store._on_rebuilt.append(no_space)
        for _ in range(2):
            with pytest.raises(sqlite3.OperationalError, match="disk is full"):
                await asyncio.to_thread(box.store._rebuild, "told to")
        with pytest.raises(sqlite3.OperationalError, match="disk is full"):
            await box.buffer.flush()
        box.store._on_rebuilt.remove(no_space)
        await box.buffer.flush()
        assert moments(await everything(box)) == [each.at for each in said]
        assert box.store.rebuilt is not None


async def test_what_gathered_during_an_outage_of_the_disk_still_fits_into_batches(tmp_path: Path) -> None:
    with world(tmp_path) as box:
        for _ in range(MAX_READINGS_PER_BATCH + 10):
            box.say(ac_power_kw=1.0)
            box.clock.step(0.01)
        assert await box.buffer.flush() == MAX_READINGS_PER_BATCH + 10
        flushes = await everything(box)
        assert max(each.reading_count for each in flushes) <= MAX_FLUSH_READINGS
        assert sum(each.reading_count for each in flushes) == MAX_READINGS_PER_BATCH + 10
        assert await box.store.read(stored_depth) == box.buffer.depth


async def test_a_disk_that_cannot_be_written_for_long_does_not_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_agent.store.buffer.MAX_WAITING", 10)
    with world(tmp_path) as box:
        broken = [sqlite3.OperationalError("disk I/O error"), TypeError("a bug")]

        def fail(_: sqlite3.Connection) -> None:
            if broken:
                raise broken[0]

        box.buffer.stage(fail, key="fault")
        written: list[int] = []
        for number in range(40):
            box.say(ac_power_kw=float(number))
            box.clock.step(10)
            box.buffer.stage(lambda _, number=number: written.append(number), key="watch")
            if number % 10 == 9:
                with pytest.raises(type(broken[0])):
                    await box.buffer.flush()
                broken.reverse()
        pending = box.buffer._pending
        assert (len(pending.samples), len(pending.writes), pending.unstored) == (10, 2, 30)
        broken.clear()
        assert await box.buffer.flush() == 10
        assert written == [39]
        assert await box.store.read(lambda connection: counter(connection, READINGS_UNSTORED)) == 30


async def test_rows_whose_boot_or_bytes_are_lost_are_set_aside_not_dropped(tmp_path: Path) -> None:
    with world(tmp_path) as box:
        await box.fill(4)
        await box.store.write(
            lambda connection: connection.execute("UPDATE outbox SET boot_id = 77 WHERE seq = 1").close()
        )
        await box.store.write(lambda connection: connection.execute("UPDATE outbox SET n = 9 WHERE seq = 2").close())
        await box.store.write(
            lambda connection: connection.execute("UPDATE outbox SET payload = x'00' WHERE seq = 3").close()
        )
    damage(tmp_path / FILE_NAME, "events")
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    connection.execute("PRAGMA writable_schema = ON")
    connection.close()
    store = StoreFile(tmp_path)
    store.open()
    try:
        store._rebuild("told to")
        assert store.rebuilt is not None
        salvaged = store.rebuilt.salvaged
        assert (salvaged["flushes"], salvaged["readings"], salvaged["flushes_set_aside"]) == (1, 2, 3)
        assert salvaged["tables_broken_off"] == 1
        reasons = await store.read(
            lambda connection: connection.execute("SELECT reason FROM quarantine ORDER BY seq").fetchall()
        )
        assert [reason for (reason,) in reasons] == ["boot_unknown", "count_differs", "payload_damaged"]
    finally:
        store.close()


async def test_the_quota_thins_the_oldest_and_drops_nothing_silently(tmp_path: Path) -> None:
    clock = SteppedClock()
    with world(tmp_path, clock, quota_mb=2.35) as box:
        readings = 0
        for hour in range(40):
            for minute in range(60):
                for ten in range(6):
                    step = (hour * 60 + minute) * 6 + ten
                    box.say(
                        1,
                        ac_power_kw=(step * 7919 % 5003) / 1000,
                        energy_total_kwh=round(1000 + step * 0.1, 1),
                        ac_voltage_v=230.1,
                    )
                    readings += 1
                    clock.step(10)
                if minute % 2:
                    await box.buffer.flush()
            assert box.buffer.depth.used_bytes <= 350_000
        flushes = await everything(box)
        while flushes[-1].seq < box.buffer.depth.last_seq:  # stretches of empty numbers come in portions
            await box.buffer.ack(flushes[-1].seq)
            flushes = [*flushes, *await everything(box)]
        blocks = [block for flush in flushes for block in flush.blocks]
        counts = [value for block in blocks for value in block.values["energy_total_kwh"] if value is not None]
        assert (min(counts), max(counts)) == (1000.0, round(1000 + (readings - 1) * 0.1, 1))
        assert [each.seq for each in flushes] == list(range(1, box.buffer.depth.last_seq + 1))
        assert any(flag & Quality.THINNED for block in blocks for flag in block.quality)
        assert box.buffer.readings_total == readings
        events = await box.store.read(lambda connection: read_events(connection, limit=1000))
        merged = sum(int(str(event.detail["readings_merged"])) for event in events if event.kind == "thinned")
        assert readings - merged == len(set(moments(flushes)))
    status = read_status(tmp_path)
    assert status.readings_thinned == merged


async def test_status_reads_beside_the_writer(tmp_path: Path) -> None:
    with world(tmp_path) as box:
        await box.fill(3)
        box.say(2, quality=Quality.LINK_DOWN)
        await box.buffer.flush()
        status = await asyncio.to_thread(read_status, tmp_path)
        assert (status.readings_total, status.depth.readings, status.depth.flushes) == (7, 7, 4)
        assert status.newest[device_id(1)].values == {"ac_power_kw": 3.5, "energy_total_kwh": 100.5}
        assert (status.newest[device_id(2)].link_up, status.newest[device_id(2)].answered_at) == (False, None)
        assert status.oldest_at == box.timeline.boot.date(100_000)
        assert status.store_bytes > 0


async def test_silence_does_not_overwrite_the_last_answer(tmp_path: Path) -> None:
    with world(tmp_path) as box:
        said = box.say(1, ac_power_kw=2.0)
        await box.buffer.flush()
        box.clock.step(60)
        box.say(1, quality=Quality.LINK_DOWN)
        await box.buffer.flush()
        newest = (await box.store.read(read_newest))[device_id(1)]
    assert (newest.link_up, newest.values, newest.answered_at) == (False, {"ac_power_kw": 2.0}, said.at)
    assert newest.at == said.at + timedelta(seconds=60)


def test_no_store_is_said_with_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="enrol"):
        read_status(tmp_path)


async def test_a_depth_in_memory_is_the_depth_on_disk(tmp_path: Path) -> None:
    with world(tmp_path) as box:
        await box.fill(5)
        await box.buffer.ack(2)
        await box.buffer.set_aside(4, "test")
        assert box.buffer.depth == await box.store.read(stored_depth)
        assert box.timeline.boot.time_quality in TimeQuality
