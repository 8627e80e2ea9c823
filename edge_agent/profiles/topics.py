"""What an MQTT topic map may say: which message carries which value.

Topics are templates: `{topic_prefix}` and other names in braces come from the device's connection (see `mapped.py`); a name left open
(`{instance?}`) is a wildcard of one level, and the device that speaks there fills it. `+` and `#` are MQTT's wildcards.
"""

from enum import StrEnum
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from edge_agent.profiles.mapped import (
    MappedValue,
    Stamp,
    WithTemplates,
    check_keys,
    check_path,
    unroll,
    unroll_values,
)
from edge_agent.profiles.model import ProfilePart, ProfileQuality, Source
from shared.enums import DeviceType

TopicValue = MappedValue


class PayloadFormat(StrEnum):
    """How a payload is written."""

    JSON = "json"
    NUMBER = "number"
    """The whole payload is one number (or word) as text."""
    SPARKPLUG = "sparkplug"
    """Sparkplug B's protobuf; a path is the name of a metric."""


class TopicEntry(ProfilePart):
    """One topic and what its messages carry.

    Attributes:
        root: where in a JSON message the object lies that the paths begin at; a text there is read as JSON itself.
        is_partial: a message carries only what has changed (`partial` in the file): what it lacks is as it was, and as new as the message.
        repeats: the topic says again what another one says too; a device may be set to use either.
        stamp: where a message says how old it is.
        device: of a Sparkplug edge node; empty for the node itself.
    """

    topic: str = Field(min_length=1)
    format: PayloadFormat = PayloadFormat.JSON
    root: str = ""
    is_partial: bool = Field(alias="partial", default=False)
    repeats: bool = False
    stamp: Stamp | None = None
    device: str = ""
    values: tuple[MappedValue, ...] = Field(alias="value", min_length=1)

    @property
    def templates(self) -> tuple[str, ...]:
        """Texts with names in braces, besides the topic."""
        own = (self.root, self.device, *(self.stamp.templates if self.stamp else ()))
        return own + tuple(template for value in self.values for template in value.templates)

    @field_validator("root")
    @classmethod
    def _can_be_walked(cls, path: str) -> str:
        return check_path(path)

    @model_validator(mode="after")
    def _paths_fit_the_format(self) -> Self:
        for value in self.values:
            if (self.format is PayloadFormat.NUMBER) == bool(value.path):
                raise ValueError(
                    f"{value.metric}: path is {value.path!r} in a {self.format.value} payload; only JSON has paths"
                )
        if self.format is not PayloadFormat.JSON and (self.root or self.stamp or self.is_partial):
            raise ValueError(f"root, stamp and partial belong to JSON, not to a {self.format.value} payload")
        if self.format is not PayloadFormat.SPARKPLUG and self.device:
            raise ValueError(f"device belongs to Sparkplug, not to a {self.format.value} payload")
        if self.format is not PayloadFormat.JSON and any(any(value.templates[1:]) for value in self.values):
            raise ValueError(f"minus, unit_path and only_if belong to JSON, not to a {self.format.value} payload")
        return self


class Availability(ProfilePart):
    """Where the device (or its last will) says whether it is there.

    Attributes:
        online: the word for there, or several.
        offline: the word for away, or several.
        path: where the word stands if the payload is a JSON object.
        overrules: values that come while it says away are not the present: a bridge repeats what a sleeping device said last. Without,
            who speaks is there, whatever an old last will says.
    """

    topic: str = Field(min_length=1)
    online: str | tuple[str, ...]
    offline: str | tuple[str, ...]
    path: str = ""
    overrules: bool = False

    def means(self, word: str) -> bool | None:
        """True for there, False for away, None for neither."""
        if word in _words(self.online):
            return True
        return False if word in _words(self.offline) else None

    @property
    def words(self) -> str:
        """What is understood, for an error's text."""
        return (
            f"neither {' or '.join(map(repr, _words(self.online)))} nor {' or '.join(map(repr, _words(self.offline)))}"
        )


def _words(words: str | tuple[str, ...]) -> tuple[str, ...]:
    return (words,) if isinstance(words, str) else words


class Request(ProfilePart):
    """What the agent says so that the device speaks; never retained.

    Attributes:
        payload: of every message.
        every_s: repeated after this long; once per connection without.
    """

    topic: str = Field(min_length=1)
    payload: str = ""
    every_s: float | None = Field(default=None, ge=5, le=3600)


class TopicMap(WithTemplates):
    """One convention.

    Attributes:
        name: as in the plan, and the file's name without `.toml`.
        read_for: device types that the map is for (`for` in the file).
        availability: all of them must say there.
        requests: sent after each connection (`request` in the file).
        assembly_s: messages that come within this time of the first make one reading; for devices with a topic for each value.
        silence_s: values stay the present for this long even if the plan's interval is shorter; for devices that repeat them slowly.
    """

    format: Literal[1]
    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: str
    quality: ProfileQuality
    read_for: tuple[DeviceType, ...] = Field(alias="for", min_length=1)
    availability: tuple[Availability, ...] = ()
    requests: tuple[Request, ...] = Field(alias="request", default=())
    assembly_s: float = Field(default=0.0, ge=0, le=60)
    silence_s: float = Field(default=0.0, ge=0, le=3600)
    entries: tuple[TopicEntry, ...] = Field(alias="topic", min_length=1)
    quirks: tuple[str, ...] = ()
    sources: tuple[Source, ...] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _written_out(cls, source: Any) -> Any:  # noqa: ANN401 - what a file holds is not known before it is checked
        if not isinstance(source, dict):
            return source
        written = dict(source)
        if isinstance(written.get("availability"), dict):
            written["availability"] = [written["availability"]]
        topics = unroll(written.get("topic"))
        written["topic"] = [unroll_values(topic) for topic in topics] if isinstance(topics, list) else topics
        return {key: value for key, value in written.items() if value is not None}

    @property
    def _templates(self) -> list[str]:
        templates = [entry.topic for entry in self.entries]
        templates += [there.topic for there in self.availability]
        templates += [request.topic for request in self.requests]
        templates += [request.payload for request in self.requests]
        templates += [template for entry in self.entries for template in entry.templates]
        return templates

    @property
    def metrics(self) -> tuple[str, ...]:
        """Every key that the map can give."""
        return tuple(dict.fromkeys(value.metric for entry in self.entries for value in entry.values))

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        once = tuple(entry.values for entry in self.entries if not entry.repeats)
        check_keys(once, self.read_for)
        for entry in self.entries:
            check_keys((entry.values,), self.read_for)
        return self
