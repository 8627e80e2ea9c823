"""A day of two hundred devices replayed three times in random order and split at random: the same rows and the same bytes."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import pytest

from edge_agent.drivers.simulated import SimulatedSite
from shared.periods import day_window, zone_of
from tests.integration.telemetry.home import Home, Sent, in_batches, make_home, moments, observe
from tests.plants import make_plant

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.timeout(600)]

SITES = 40
DEVICES = 5
POLL = timedelta(minutes=5)
TIMES = 3
PARTS = 6
"""Into so many batches the three days of a site are split, at random."""

DAY = day_window(date(2026, 6, 1), zone_of("Asia/Karachi"))
READINGS = SITES * DEVICES * ((DAY.end - DAY.start) // POLL + 1)


@dataclass(frozen=True)
class Part:
    """Some of a home's readings, as one batch."""

    home: Home
    readings: Sequence[Sent]


async def counted(home: Home) -> int:
    (row,) = await home.rows("SELECT count(*) AS n FROM telemetry_readings")
    return int(row["n"])


async def street(home: Home) -> list[Home]:
    """The home and its neighbours, in one database."""
    plants = [await make_plant(home.db, name=f"site{number}") for number in range(1, SITES)]
    poll_s = POLL.total_seconds()
    return [
        await make_home(home.db, home.plant, poll_s=poll_s),
        *[await make_home(home.db, p, poll_s=poll_s) for p in plants],
    ]


def day_of(home: Home, roof: SimulatedSite, number: int) -> list[Sent]:
    """A day of the home of this number: that of the roof so many days later, so that no two homes are alike."""
    later = timedelta(days=number)
    return [
        Sent(sent.device_id, at, sent.values, sent.quality)
        for at in moments(DAY.start, DAY.end, step=POLL)
        for sent in observe(home, roof, at + later)
    ]


def thrice(days: Sequence[tuple[Home, list[Sent]]], dice: random.Random) -> list[Part]:
    """Every reading three times, in batches of any size, in any order."""
    parts = []
    for home, day in days:
        readings = day * TIMES
        dice.shuffle(readings)
        sizes = [dice.randint(1, 2 * len(readings) // PARTS) for _ in range(PARTS)]
        parts += [Part(home, batch) for batch in in_batches(readings, sizes)]
    dice.shuffle(parts)
    return parts


async def test_a_day_of_two_hundred_devices_three_times(home: Home, roof: SimulatedSite) -> None:
    days = [(one, day_of(one, roof, number)) for number, one in enumerate(await street(home))]
    for one, day in days:
        await one.send(day)
        await one.roll_up(limit=10_000)
    raw, expected = await counted(home), await home.fingerprint()
    assert raw == sum(len(day) for _, day in days) == READINGS
    for one, _ in days:
        await one.forget()
    assert await counted(home) == 0

    dice = random.Random(7)  # noqa: S311 -- the same disorder in every run
    for part in thrice(days, dice):
        await part.home.send(part.readings)
        await part.home.roll_up(limit=dice.choice([20, 100, 500]), passes=dice.choice([0, 0, 1]))
    for one, _ in days:
        await one.roll_up(limit=10_000)
    assert await counted(home) == raw
    assert await home.fingerprint() == expected
