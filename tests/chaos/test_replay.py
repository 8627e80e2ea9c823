"""A day replayed three times in random order and split at random: the same rows and the same bytes."""

import random
from datetime import date, timedelta

import pytest

from edge_agent.drivers.simulated import SimulatedSite
from shared.periods import day_window, zone_of
from tests.integration.telemetry.home import Home, Sent, in_batches, make_home, moments, observe
from tests.plants import make_plant

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.timeout(300)]

SITES = 4
DAY = day_window(date(2026, 6, 1), zone_of("Asia/Karachi"))


async def counted(home: Home) -> int:
    (row,) = await home.rows("SELECT count(*) AS n FROM telemetry_readings")
    return int(row["n"])


async def test_a_day_of_twenty_devices_three_times(home: Home, roof: SimulatedSite) -> None:
    plants = [await make_plant(home.db, name=f"site{number}") for number in range(1, SITES)]
    homes = [home, *[await make_home(home.db, plant, poll_s=600) for plant in plants]]
    step = timedelta(minutes=10)
    days: list[list[Sent]] = [
        [sent for at in moments(DAY.start, DAY.end, step=step) for sent in observe(one, roof, at)] for one in homes
    ]
    for one, day in zip(homes, days, strict=True):
        await one.send(day)
        await one.roll_up(limit=10_000)
    raw, expected = await counted(home), await home.fingerprint()
    assert raw == sum(len(day) for day in days) == SITES * 5 * 145
    for one in homes:
        await one.forget()
    dice = random.Random(7)  # noqa: S311 -- the same disorder in every run
    parts = []
    for one, day in zip(homes, days, strict=True):
        thrice = day * 3
        dice.shuffle(thrice)
        parts += [(one, part) for part in in_batches(thrice, [dice.randint(1, 600) for _ in range(8)])]
    dice.shuffle(parts)
    for one, part in parts:
        await one.send(part)
        await one.roll_up(limit=dice.choice([30, 200]), passes=dice.randint(0, 2))
    for one in homes:
        await one.roll_up()
    assert await counted(home) == raw
    assert await home.fingerprint() == expected
