"""Pieces of work that do not depend on each other, one after the other."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any


async def each_alone(pieces: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Do every piece, whatever becomes of the others: one that fails for ever must not keep those behind it waiting.

    Raises:
        Exception: what failed first, after all were tried.
    """
    outcomes = [outcome for piece in pieces for outcome in await asyncio.gather(piece, return_exceptions=True)]
    for outcome in outcomes:
        if outcome is not None:
            raise outcome
