"""What a device refused: kept for its profile, for a day, and never the reason of a failure."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from edge_agent.drivers.modbus_plan import Span
from edge_agent.drivers.modbus_profile import ProfileDriver
from edge_agent.drivers.modbus_refusals import REFUSED_PERIOD_S, NoNotes, Refusals
from edge_agent.profiles.load import ProfileLibrary
from edge_agent.profiles.model import Profile, RegisterFunction
from shared.enums import DeviceType
from tests.captures import holding_of
from tests.modbus_server import FakeBus
from tests.unit.drivers.conftest import HandClock

PROFILE = ProfileLibrary().modbus("deye_1p_hybrid")
Change = Callable[[dict[str, Any]], str]
HOLDING = RegisterFunction.HOLDING
ONE, TWO = Span(HOLDING, 10, 11), Span(HOLDING, 20, 20)


@dataclass
class Slip:
    """Notes in memory."""

    text: str | None = None
    writes: int = 0

    def recall(self) -> str | None:
        return self.text

    def keep(self, text: str | None) -> None:
        self.text = text
        self.writes += 1


def refusals(slip: Slip, clock: HandClock, profile: Profile = PROFILE) -> Refusals:
    return Refusals(slip, profile=profile, clock=clock)


def test_they_survive_a_restart(clock: HandClock) -> None:
    slip = Slip()
    refusals(slip, clock).add([ONE, TWO])
    assert refusals(slip, clock).spans == (ONE, TWO)


def test_the_same_again_is_not_written_again(clock: HandClock) -> None:
    slip = Slip()
    known = refusals(slip, clock)
    known.add([ONE, ONE])
    known.add([ONE])
    assert (known.spans, slip.writes) == ((ONE,), 1)


def test_they_are_forgotten_after_a_day(clock: HandClock) -> None:
    slip = Slip()
    known = refusals(slip, clock)
    known.add([ONE])
    clock.elapsed = REFUSED_PERIOD_S - 1
    known.add([TWO])  # what is learnt later does not keep what was learnt before
    assert not known.forget_if_old()
    clock.elapsed = REFUSED_PERIOD_S
    assert known.forget_if_old()
    assert (known.spans, slip.text) == ((), None)
    assert not known.forget_if_old()


def test_an_old_note_is_not_taken_up(clock: HandClock) -> None:
    slip = Slip()
    refusals(slip, clock).add([ONE])
    clock.elapsed = REFUSED_PERIOD_S
    assert refusals(slip, clock).spans == ()


def test_a_note_from_the_future_was_written_under_a_wrong_clock(clock: HandClock) -> None:
    slip = Slip()
    clock.elapsed = 3600
    refusals(slip, clock).add([ONE])
    clock.elapsed = 0
    assert refusals(slip, clock).spans == ()


def test_another_version_of_the_profile_starts_anew(clock: HandClock) -> None:
    slip = Slip()
    refusals(slip, clock).add([ONE])
    newer = Profile.model_validate(PROFILE.model_dump(by_alias=True) | {"title": "corrected"})
    assert newer.fingerprint != PROFILE.fingerprint
    assert refusals(slip, clock, newer).spans == ()


@pytest.mark.parametrize(
    "change",
    [
        lambda note: "{",
        lambda note: json.dumps(note | {"refused": [["holding", "x", 1]]}),
        lambda note: json.dumps(note | {"refused": [["coils", 1, 2]]}),
        lambda note: json.dumps(note | {"refused": 3}),
        lambda note: json.dumps(note | {"since": "2026-06-21T00:00:00"}),
        lambda note: json.dumps({"of": note["of"]}),
        lambda note: "[]",
    ],
)
def test_a_note_that_cannot_be_read_is_learnt_anew(clock: HandClock, change: Change) -> None:
    slip = Slip()
    refusals(slip, clock).add([ONE])
    slip.text = change(json.loads(slip.text or ""))
    known = refusals(slip, clock)
    assert known.spans == ()
    known.add([TWO])
    assert refusals(slip, clock).spans == (TWO,)


def test_without_notes_nothing_is_kept(clock: HandClock) -> None:
    notes = NoNotes()
    Refusals(notes, profile=PROFILE, clock=clock).add([ONE])
    assert notes.recall() is None


async def test_a_restarted_driver_does_not_ask_for_what_was_refused(clock: HandClock) -> None:
    bus = FakeBus(holding_of("sunsynk_sg01lp1_3k6"))
    del bus.holding[109], bus.holding[187]
    slip = Slip()

    def driver() -> ProfileDriver:
        return ProfileDriver(bus, 1, profile=PROFILE, device_type=DeviceType.INVERTER, clock=clock, notes=slip)

    first = driver()
    before = (await first.read()).values
    settled = (await first.read()).values
    bus.reads.clear()
    again = (await driver().read()).values
    assert again == before
    assert settled.keys() <= again.keys()
    for _, _, address, count in bus.reads:
        assert all(register in bus.holding for register in range(address, address + count))


async def test_a_device_that_refuses_everything_leaves_no_note(clock: HandClock) -> None:
    slip = Slip()
    driver = ProfileDriver(
        FakeBus({0: 3}), 1, profile=PROFILE, device_type=DeviceType.INVERTER, clock=clock, notes=slip
    )
    with pytest.raises(Exception, match="has none of the registers"):
        await driver.read()
    assert slip.text is None
