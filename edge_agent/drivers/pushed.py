"""The newest values of a device that pushes: what is fresh, what belongs together, and whether it is one device. Pure.

Times are seconds of the agent's monotonic clock, given with each call.
"""

from collections.abc import Mapping

from edge_agent.drivers.base import DeviceAnswer
from edge_agent.drivers.mqtt_codec import Decoded
from shared.enums import Quality
from shared.readings import Value

_MOST_SPEAKERS = 100
"""Names kept where one was left open: whoever invents topics does not fill a small box's memory."""

_SPEAKERS_SHOWN = 5


class PushedValues:
    """What one device has said.

    Args:
        max_age_s: after which a value that nobody renewed is no longer the present.
        assembly_s: messages within this time of the first make one reading, and are shown together when it is over.
    """

    def __init__(self, *, max_age_s: float, assembly_s: float = 0.0) -> None:
        self.max_age_s = max_age_s
        self._assembly_s = assembly_s
        self._values: dict[str, tuple[Value, float]] = {}
        self._gathering: dict[str, tuple[Value, float]] = {}
        self._gathering_ends = 0.0
        self._overlaid: set[str] = set()
        self._speakers: dict[str, dict[str, float]] = {}
        self._away: dict[str, bool] = {}

    def take(self, decoded: Decoded, now: float) -> bool:
        """Remember a message's values; False if it held none."""
        self._show_if_due(now)
        for name, speaker in decoded.captures.items():
            self._hear(name, speaker, now)
        said = {key: (value, now) for key, value in decoded.values.items()}
        known = self._values | self._gathering
        unchanged = decoded.overlay - decoded.values.keys()
        said |= {key: (known[key][0], now) for key in unchanged if key in known}
        self._overlaid |= decoded.overlay
        if not said:
            return False
        # Who speaks is there, whatever an old last will says, unless the word comes from a bridge that speaks for a sleeping device.
        self._away = {topic: overrules for topic, overrules in self._away.items() if overrules}
        if not self._assembly_s:
            self._values |= said
            return True
        if not self._gathering:
            self._gathering_ends = now + self._assembly_s
        self._gathering |= said
        return True

    def _hear(self, name: str, speaker: str, now: float) -> None:
        speakers = self._speakers.setdefault(name, {})
        if len(speakers) >= _MOST_SPEAKERS:
            for silent in [known for known, at in speakers.items() if now - at > self.max_age_s]:
                del speakers[silent]
        if speaker in speakers or len(speakers) < _MOST_SPEAKERS:
            speakers[speaker] = now

    def announce(self, topic: str, *, is_online: bool, overrules: bool) -> None:
        """Remember what an availability topic says."""
        if is_online:
            self._away.pop(topic, None)
        else:
            self._away[topic] = overrules

    def forget_unchanged(self) -> None:
        """The connection was lost: what a device says only when it changes may have changed meanwhile."""
        for known in (self._values, self._gathering):
            for key in self._overlaid:
                known.pop(key, None)

    def answer(self, now: float) -> DeviceAnswer | None:
        """The reading of this moment: fresh values, and None for those that have aged; None if there is no fresh one to trust."""
        self._show_if_due(now)
        if self._away or self.ambiguity(now) is not None:
            return None
        fresh = {key: value for key, (value, at) in self._values.items() if now - at <= self.max_age_s}
        if not fresh:
            return None
        aged = {key: None for key in self._values if key not in fresh}
        return DeviceAnswer({**fresh, **aged}, Quality.PARTIAL if aged else Quality.GOOD)

    def ambiguity(self, now: float) -> str | None:
        """Why it is not known whose values these are: more than one device speaks where the connection left a name open."""
        for name, speakers in self._speakers.items():
            heard = sorted(speaker for speaker, at in speakers.items() if now - at <= self.max_age_s)
            if len(heard) > 1:
                return (
                    f"several devices speak: {', '.join(heard[:_SPEAKERS_SHOWN])}; say which one in connection.{name}"
                )
        return None

    @property
    def absence(self) -> str | None:
        """Who says that the device is away; None if nobody does."""
        return f"the device is announced as offline ({', '.join(sorted(self._away))})" if self._away else None

    @property
    def values(self) -> Mapping[str, Value]:
        """Everything shown so far, fresh or not."""
        return {key: value for key, (value, _) in self._values.items()}

    def _show_if_due(self, now: float) -> None:
        if self._gathering and now >= self._gathering_ends:
            self._values |= self._gathering
            self._gathering = {}
