"""Turns on a bus."""

import asyncio

from edge_agent.drivers.fair_queue import FairQueue, Graces


async def use(queue: FairQueue, key: str, order: list[str]) -> None:
    await queue.take(key)
    order.append(key)
    await asyncio.sleep(0)
    queue.give()


async def test_a_device_with_many_requests_does_not_starve_the_others() -> None:
    queue, order = FairQueue(), list[str]()
    await queue.take("first")
    tasks = [asyncio.create_task(use(queue, key, order)) for key in "aaaaaabbc"]
    await asyncio.sleep(0)
    assert queue.length == 9
    queue.give()
    await asyncio.gather(*tasks)
    assert "".join(order) == "abcabaaaa"
    assert queue.length == 0


async def test_a_waiter_that_gives_up_loses_nobody_a_turn() -> None:
    queue, order = FairQueue(), list[str]()
    await queue.take("first")
    tasks = [asyncio.create_task(use(queue, key, order)) for key in "abc"]
    await asyncio.sleep(0)
    tasks[0].cancel()
    await asyncio.sleep(0)
    queue.give()
    tasks[1].cancel()  # its turn has just come
    await asyncio.gather(*tasks, return_exceptions=True)
    assert order == ["c"]
    await asyncio.wait_for(queue.take("d"), 1)


async def test_a_grace_ends_with_the_late_word_or_with_its_time() -> None:
    graces, loop = Graces(), asyncio.get_running_loop()
    await graces.wait(1)
    graces.give(1, until=loop.time() + 60)
    waiting = asyncio.create_task(graces.wait(1))
    await asyncio.sleep(0)
    assert graces.are_given
    graces.end(1)
    await asyncio.wait_for(waiting, 1)
    graces.give(2, until=loop.time() + 0.01)
    await graces.wait(2)
    assert not graces.are_given


async def test_two_who_wait_for_one_unit() -> None:
    graces = Graces()
    graces.give(1, until=asyncio.get_running_loop().time() + 0.01)
    await asyncio.gather(graces.wait(1), graces.wait(1))
    assert not graces.are_given
