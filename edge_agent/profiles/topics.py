"""What an MQTT topic map may say: which message carries which value.

Topics are templates: `{topic_prefix}` and other names in braces come from the device's connection; `+` and `#` are MQTT's wildcards.
"""

import re
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from typing import Literal, Self

from pydantic import Field, model_validator

from edge_agent.profiles.model import ExactNumber, ProfilePart, ProfileQuality, Source, check_unit, known_metric
from edge_agent.profiles.units import conversion_factor
from shared.enums import DeviceType, OperatingState
from shared.metrics import Metric, metric_of

PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]*)\}")


class PayloadFormat(StrEnum):
    """How a payload is written."""

    JSON = "json"
    NUMBER = "number"
    """The whole payload is one number as text."""


class TopicValue(ProfilePart):
    """One value in a message.

    Attributes:
        metric: catalogue key, with the channel after a dot.
        path: keys and array positions separated by dots (`ENERGY.Power.0`); empty where the payload itself is the number. Position 0 of
            something that is no array is that thing itself, because some firmware sends an array only when there are several.
        unit: the device's.
        scale: before the unit's conversion.
        offset: added after scaling, in `unit`.
        sign: 1 or -1.
        states: the device's words (or numbers as text) -> canonical state; only for operating_state.
    """

    metric: str
    path: str = ""
    unit: str | None = None
    scale: ExactNumber = Decimal(1)
    offset: ExactNumber = Decimal(0)
    sign: Literal[1, -1] = 1
    states: dict[str, OperatingState] = Field(default_factory=dict)
    note: str = ""

    @cached_property
    def catalogue(self) -> Metric:
        """The metric of `metric`."""
        return metric_of(self.metric)

    @cached_property
    def factor(self) -> Decimal:
        """From a number in `unit` to the metric's unit, sign included."""
        return conversion_factor(self.unit or "", self.catalogue.unit) * self.sign

    @model_validator(mode="after")
    def _means_what_the_metric_is(self) -> Self:
        name = known_metric(self.metric).name
        if (name == "operating_state") != bool(self.states):
            raise ValueError(f"states and operating_state belong together; {name} has {len(self.states)} states")
        if self.states:
            return self
        if self.unit is None:
            raise ValueError(
                f"unit is missing: say what the device counts in ({name} is kept in {self.catalogue.unit})"
            )
        check_unit(self.unit, self.catalogue)
        if not self.scale:
            raise ValueError("scale is 0, which would make every value the same; leave it out for 1")
        return self


class TopicEntry(ProfilePart):
    """One topic and what its messages carry."""

    topic: str = Field(min_length=1)
    format: PayloadFormat = PayloadFormat.JSON
    values: tuple[TopicValue, ...] = Field(alias="value", min_length=1)

    @model_validator(mode="after")
    def _paths_fit_the_format(self) -> Self:
        for value in self.values:
            if (self.format is PayloadFormat.JSON) != bool(value.path):
                raise ValueError(
                    f"{value.metric}: path is {value.path!r} in a {self.format.value} payload; only JSON has paths"
                )
        return self


class Availability(ProfilePart):
    """Where the device (or its last will) says whether it is there."""

    topic: str = Field(min_length=1)
    online: str
    offline: str


class TopicMap(ProfilePart):
    """One convention.

    Attributes:
        name: as in the plan, and the file's name without `.toml`.
        read_for: device types that the map is for (`for` in the file).
    """

    format: Literal[1]
    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: str
    quality: ProfileQuality
    read_for: tuple[DeviceType, ...] = Field(alias="for", min_length=1)
    availability: Availability | None = None
    entries: tuple[TopicEntry, ...] = Field(alias="topic", min_length=1)
    quirks: tuple[str, ...] = ()
    sources: tuple[Source, ...] = Field(min_length=1)

    @property
    def placeholders(self) -> frozenset[str]:
        """Names that the connection must give."""
        templates = [entry.topic for entry in self.entries]
        if self.availability:
            templates.append(self.availability.topic)
        return frozenset(name for template in templates for name in PLACEHOLDER.findall(template))

    @property
    def metrics(self) -> tuple[str, ...]:
        """Every key that the map can give."""
        return tuple(value.metric for entry in self.entries for value in entry.values)

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        keys = self.metrics
        for key in keys:
            if keys.count(key) > 1:
                raise ValueError(f"{key} is given {keys.count(key)} times; keep one")
            for device_type in self.read_for:
                if device_type not in metric_of(key).device_types:
                    raise ValueError(f"{key} does not exist for {device_type.value}")
        return self
