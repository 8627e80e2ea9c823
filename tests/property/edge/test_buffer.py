"""Whatever happens in whatever order: every reading reaches the other side once, in order."""

import asyncio
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.wire import Flush
from tests.edge_world import SteppedClock, World, world

actions = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 5)),
        st.tuples(st.just("flush"), st.just(0)),
        st.tuples(st.just("send"), st.integers(1, 6)),
        st.tuples(st.just("send_lost_ack"), st.integers(1, 6)),
        st.tuples(st.just("crash"), st.just(0)),
        st.tuples(st.just("new_epoch"), st.just(0)),
    ),
    max_size=40,
)


@dataclass
class Cloud:
    """Takes flushes as the contract says, and remembers what it took."""

    epoch: object = None
    acked: int = 0
    moments: list[datetime] = field(default_factory=list)

    def take(self, epoch: object, flushes: list[Flush]) -> int:
        if epoch != self.epoch:
            assert flushes[0].seq == 1, "a new epoch starts at 1"
            self.epoch, self.acked = epoch, 0
        assert flushes[0].seq <= self.acked + 1, "a hole"
        for flush in flushes:
            if flush.seq > self.acked:
                fresh = [
                    flush.started_at + timedelta(milliseconds=offset)
                    for block in flush.blocks
                    for offset in block.offsets_ms
                ]
                self.moments += [moment for moment in fresh if moment not in self.moments]
                self.acked = flush.seq
        return self.acked


@dataclass
class Run:
    clock: SteppedClock = field(default_factory=SteppedClock)
    cloud: Cloud = field(default_factory=Cloud)
    committed: list[datetime] = field(default_factory=list)
    waiting: list[datetime] = field(default_factory=list)

    async def do(self, box: World, action: str, number: int) -> None:
        match action:
            case "append":
                for _ in range(number):
                    self.waiting.append(box.say(ac_power_kw=1.0).at)
                    self.clock.step(1)
            case "flush":
                await box.buffer.flush()
                self.committed, self.waiting = self.committed + self.waiting, []
            case "send" | "send_lost_ack":
                flushes = await box.buffer.peek(max_readings=number, max_bytes=1_000_000)
                if flushes:
                    acked = self.cloud.take(box.buffer.epoch, flushes)
                    if action == "send":
                        await box.buffer.ack(acked)
            case "new_epoch":
                await box.buffer.begin_epoch("test")
        assert box.buffer.depth.readings >= 0
        assert box.buffer.readings_total == len(self.committed)


async def play(folder: Path, script: list[tuple[str, int]]) -> Run:
    run = Run()
    rest = list(script)
    while True:
        with world(folder, run.clock) as box:
            while rest:
                action, number = rest.pop(0)
                if action == "crash":
                    break  # leaves the world without a flush: what was only in memory is gone
                await run.do(box, action, number)
            else:
                await run.do(box, "flush", 0)
                while box.buffer.depth.flushes:
                    await run.do(box, "send", 1_000)
                assert box.buffer.depth.readings == 0
                return run
        run.waiting = []


def in_loop(test: Callable[..., Any], *arguments: object) -> Any:
    """Hypothesis calls plain functions; the session's loop is not running while it does."""
    with asyncio.Runner() as runner:
        return runner.run(test(*arguments))


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(actions)
def test_every_committed_reading_arrives_once_in_order(script: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        run = in_loop(play, Path(folder), script)
    assert run.cloud.moments == run.committed
