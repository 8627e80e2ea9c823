"""What a device has refused, so that it is not asked for the same again after every restart.

Learnt for one device and one version of its profile, and forgotten after a day: a firmware update may have brought the registers.
"""

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Protocol

from edge_agent.clock import Clock
from edge_agent.drivers.modbus_plan import Span
from edge_agent.profiles.model import Profile, RegisterFunction

REFUSED_PERIOD_S = 86_400.0
"""After which registers that did not exist are asked for again."""


class Notes(Protocol):
    """Keeps a text per device over a restart."""

    def recall(self) -> str | None:
        """What was kept last, None for nothing."""
        ...

    def keep(self, text: str | None) -> None:
        """Keep a text instead of the one before; None forgets it."""
        ...


class NoNotes:
    """For a driver that is used once: what it learns ends with it."""

    def recall(self) -> str | None:
        """Nothing."""
        return None

    def keep(self, text: str | None) -> None:
        """Keeps nothing."""


class Refusals:
    """The refused spans of one device.

    Args:
        notes: where they are kept.
        profile: whose registers they are; with another profile, or another version of it, they mean nothing.
        clock: tells when they are too old.
    """

    def __init__(self, notes: Notes, *, profile: Profile, clock: Clock) -> None:
        self._notes = notes
        self._owner = f"{profile.name} {profile.fingerprint}"
        self._clock = clock
        self._since: datetime | None = None
        self._spans: tuple[Span, ...] = ()
        self._recall()

    @property
    def spans(self) -> tuple[Span, ...]:
        """All refused spans."""
        return self._spans

    def add(self, spans: Iterable[Span]) -> None:
        """Keep what was refused now. The oldest decides when all are forgotten."""
        new = tuple(span for span in dict.fromkeys(spans) if span not in self._spans)
        if not new:
            return
        self._spans = (*self._spans, *new)
        self._since = self._since or self._clock.now()
        self._notes.keep(
            json.dumps(
                {"of": self._owner, "since": self._since.isoformat(), "refused": [list(span) for span in self._spans]}
            )
        )

    def forget(self) -> None:
        """All is to be asked for again."""
        if self._spans:
            self._notes.keep(None)
        self._spans, self._since = (), None

    def forget_if_old(self) -> bool:
        """Forget what is older than a day, or of a later moment than now: learnt under a wrong clock.

        Returns:
            Whether something was forgotten.
        """
        if self._since is None:
            return False
        age = self._clock.now() - self._since
        if timedelta(0) <= age < timedelta(seconds=REFUSED_PERIOD_S):
            return False
        self.forget()
        return True

    def _recall(self) -> None:
        text = self._notes.recall()
        if text is None:
            return
        try:
            note = json.loads(text)
            if note["of"] != self._owner:
                return
            self._since = datetime.fromisoformat(note["since"])
            self._spans = tuple(
                Span(RegisterFunction(function), int(first), int(end)) for function, first, end in note["refused"]
            )
            self.forget_if_old()
        except (ValueError, KeyError, TypeError):
            # Written by a newer agent before a roll-back, or rotted on the medium: learning anew costs a few requests.
            self._spans, self._since = (), None
