"""Who may speak on a bus, and when: one at a time, and each device in its turn, however much the others ask."""

import asyncio
from collections import deque
from collections.abc import Hashable


class FairQueue:
    """A lock that its waiters get by turns of their keys, first come first served within a key.

    A device that waits with a hundred requests delays another one by one request, not by a hundred.
    """

    def __init__(self) -> None:
        self._is_taken = False
        self._waiting: dict[Hashable, deque[asyncio.Future[None]]] = {}

    @property
    def length(self) -> int:
        """Requests that wait."""
        return sum(map(len, self._waiting.values()))

    async def take(self, key: Hashable) -> None:
        """Wait for a turn; `give` must follow."""
        if not self._is_taken:
            self._is_taken = True
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give()  # the turn came at the same moment: it must not be lost
            else:
                turn.cancel()
            raise

    def give(self) -> None:
        """End the turn; the next one begins."""
        while self._waiting:
            key = next(iter(self._waiting))
            turns = self._waiting.pop(key)
            while turns:
                turn = turns.popleft()
                if turn.done():
                    continue
                if turns:
                    self._waiting[key] = turns  # at the end: the others come first
                turn.set_result(None)
                return
        self._is_taken = False


class Graces:
    """Units that are given some time to say what they still owe, before they are asked again."""

    def __init__(self) -> None:
        self._given: dict[int, tuple[float, asyncio.Event]] = {}

    @property
    def are_given(self) -> bool:
        """Whether any unit is waited for."""
        return bool(self._given)

    def give(self, unit: int, *, until: float) -> None:
        """Wait for a unit until this moment of the loop's clock."""
        self._given[unit] = (until, asyncio.Event())

    def end(self, unit: int) -> None:
        """It has said it."""
        _, heard = self._given.pop(unit, (0.0, None))
        if heard is not None:
            heard.set()

    async def wait(self, unit: int) -> None:
        """Return when the unit has spoken or its time is over."""
        until, heard = self._given.get(unit, (0.0, None))
        if heard is None:
            return
        try:
            async with asyncio.timeout_at(until):
                await heard.wait()
        except TimeoutError:
            if self._given.get(unit) == (until, heard):
                del self._given[unit]
