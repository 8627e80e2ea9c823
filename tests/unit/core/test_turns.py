"""Pieces of work that do not wait for each other's failures."""

import asyncio

import pytest

from cloud.core.turns import each_alone


async def test_a_piece_that_fails_does_not_keep_the_others_from_being_done() -> None:
    done = []

    async def piece(number: int) -> None:
        if number == 1:
            raise LookupError(number)
        done.append(number)

    with pytest.raises(LookupError):
        await each_alone(piece(number) for number in range(4))
    assert done == [0, 2, 3]


async def test_who_stops_waiting_stops_the_work() -> None:
    begun = []

    async def piece(number: int) -> None:
        begun.append(number)
        await asyncio.sleep(60)

    work = asyncio.create_task(each_alone(piece(number) for number in range(4)))
    await asyncio.sleep(0.01)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert begun == [0]
