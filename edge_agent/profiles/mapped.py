"""What a map of messages or answers may say about one value; topic maps and HTTP maps are made of these.

A path is keys and array positions separated by dots (`ENERGY.Power.0`). Position 0 of something that is no array is that thing itself,
because some firmware sends an array only when there are several. `[type=eim&role=net]` picks the one element with these fields. Names in
braces come from the device's connection or the map's `defaults`: `{serial}` must be given; `{serial?}` may be left open, and then there may
only be one to choose from.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from itertools import product
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from edge_agent.profiles.model import ExactNumber, ProfilePart, check_unit, known_metric
from edge_agent.profiles.units import conversion_factor
from shared.enums import DeviceType, OperatingState
from shared.metrics import Metric, metric_of

PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]*)(\??)\}")
PATH_STEP = re.compile(r"\[[^\[\]]+\]|[^.\[\]]+")

_PATH = re.compile(rf"(?:{PATH_STEP.pattern})(?:\.(?:{PATH_STEP.pattern}))*")
_FIELD_TEST = re.compile(r"[^=&\[\]]+=[^=&\[\]]+")


def names_in(*templates: str) -> frozenset[str]:
    """Names in braces that must be given."""
    found = (match for template in templates for match in PLACEHOLDER.findall(template))
    return frozenset(name for name, is_open in found if not is_open)


def unroll(items: object) -> object:
    """Write out what a file says once for several: an item with `each = { n = ["1", "2"] }` stands for one item per `n`, with `{n}` filled.

    Args:
        items: a list of tables as TOML gives them; anything else comes back as it is, for the validation to refuse.
    """
    if not isinstance(items, list):
        return items
    unrolled: list[object] = []
    for item in items:
        each = item.get("each") if isinstance(item, dict) else None
        if not isinstance(each, dict) or not all(isinstance(texts, list) for texts in each.values()):
            unrolled.append(item)
            continue
        rest = {key: value for key, value in item.items() if key != "each"}
        unrolled.extend(
            _filled(rest, dict(zip(each, map(str, texts), strict=True))) for texts in product(*each.values())
        )
    return unrolled


def unroll_values(item: object) -> object:
    """`unroll` the values of one topic or request."""
    if isinstance(item, dict) and "value" in item:
        return item | {"value": unroll(item["value"])}
    return item


def _filled(node: Any, texts: Mapping[str, str]) -> Any:  # noqa: ANN401 - TOML may hold anything
    if isinstance(node, str):
        return PLACEHOLDER.sub(lambda match: texts.get(match[1], match[0]), node)
    if isinstance(node, dict):
        return {key: _filled(value, texts) for key, value in node.items()}
    if isinstance(node, list):
        return [_filled(value, texts) for value in node]
    return node


def check_path(path: str) -> str:
    """Whether a path can be walked, for validators.

    Raises:
        ValueError: if not.
    """
    if not path:
        return path
    if not _PATH.fullmatch(path):
        raise ValueError(f"{path!r} is no path; write keys, positions and [field=word] with dots between")
    for step in PATH_STEP.findall(path):
        if step.startswith("[") and not all(_FIELD_TEST.fullmatch(test) for test in step[1:-1].split("&")):
            raise ValueError(f"{step} picks nothing; write [field=word] or [field=word&field=word]")
    return path


class PathCondition(ProfilePart):
    """What the same message must say for a value to count.

    Attributes:
        any_of: words, numbers or booleans of which `path` must be one.
        above: number that `path` must exceed.
        count: entries that the object or array at `path` must have.
    """

    path: str = Field(min_length=1)
    any_of: tuple[bool | int | str, ...] = ()
    above: ExactNumber | None = None
    count: int | None = Field(default=None, ge=0)

    @field_validator("path")
    @classmethod
    def _can_be_walked(cls, path: str) -> str:
        return check_path(path)

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if [bool(self.any_of), self.above is not None, self.count is not None].count(True) != 1:
            raise ValueError("a condition has one of any_of, above and count")
        return self

    def holds(self, found: object) -> bool:
        """Whether what stands at `path` satisfies it; nothing does not."""
        if self.count is not None:
            return isinstance(found, dict | list) and len(found) == self.count
        if self.above is not None:
            return isinstance(found, int | Decimal) and not isinstance(found, bool) and found > self.above
        if isinstance(found, bool):
            return any(word is found for word in self.any_of)
        return any(not isinstance(word, bool) and found == word for word in self.any_of)


class StampFormat(StrEnum):
    """How a message says when its values were measured."""

    UNIX_S = "unix_s"
    UNIX_MS = "unix_ms"
    ISO = "iso"
    """ISO 8601 with its offset."""
    AGE_S = "age_s"
    """Not a moment, but the seconds since then."""


class Stamp(ProfilePart):
    """Where a message says how old its values are.

    Attributes:
        path: of the moment or age. Where a message lacks it, or it is null, its arrival counts.
        now_path: where the same message says the device's present time, so that the two clocks need not agree; the agent's clock without.
        max_age_s: older values are not the present.
    """

    path: str = Field(min_length=1)
    format: StampFormat = StampFormat.UNIX_S
    now_path: str = ""
    now_format: StampFormat = StampFormat.ISO
    max_age_s: float = Field(gt=0)

    @property
    def templates(self) -> tuple[str, ...]:
        """Texts with names in braces."""
        return self.path, self.now_path

    @field_validator("path", "now_path")
    @classmethod
    def _can_be_walked(cls, path: str) -> str:
        return check_path(path)

    @model_validator(mode="after")
    def _compares_moments(self) -> Self:
        if StampFormat.AGE_S in {self.now_format, self.format if self.now_path else None}:
            raise ValueError("an age is not compared with a present time; leave now_path and now_format out")
        return self


class MappedValue(ProfilePart):
    """One value in a message.

    Attributes:
        metric: catalogue key, with the channel after a dot.
        path: where it stands; empty where the payload itself is the number.
        minus: where stands what is counted in it, but does not belong to it; subtracted before scaling.
        unit: the device's.
        unit_path: where the message names the unit; then `unit` is only what to expect when it does not.
        scale: before the unit's conversion.
        offset: added after scaling, in `unit`.
        sign: 1 or -1.
        states: the device's words (or numbers as text) -> canonical state; only for operating_state.
        code_prefix: of the fault codes, e.g. `fronius:`; only for fault_codes. 0 and an empty text are no fault.
        zero_is_missing: a 0 is the device's way to say that it does not know.
        only_if: what the message must say besides; otherwise it does not carry the value.
        read_for: device types that have it (`for` in the file); all of the map's without.
    """

    metric: str
    path: str = ""
    minus: str = ""
    unit: str | None = None
    unit_path: str = ""
    scale: ExactNumber = Decimal(1)
    offset: ExactNumber = Decimal(0)
    sign: Literal[1, -1] = 1
    states: dict[str, OperatingState] = Field(default_factory=dict)
    code_prefix: str | None = None
    zero_is_missing: bool = False
    only_if: PathCondition | None = None
    read_for: tuple[DeviceType, ...] = Field(alias="for", default=())
    note: str = ""

    @field_validator("path", "minus", "unit_path")
    @classmethod
    def _can_be_walked(cls, path: str) -> str:
        return check_path(path)

    @cached_property
    def catalogue(self) -> Metric:
        """The metric of `metric`."""
        return metric_of(self.metric)

    def factor(self, unit: str | None = None) -> Decimal:
        """From a number in `unit` (the file's without) to the metric's unit, sign included.

        Raises:
            UnitError: if the two do not belong together.
        """
        return conversion_factor(unit or self.unit or "", self.catalogue.unit) * self.sign

    @property
    def templates(self) -> tuple[str, ...]:
        """Texts with names in braces."""
        return self.path, self.minus, self.unit_path, self.only_if.path if self.only_if else ""

    @model_validator(mode="after")
    def _means_what_the_metric_is(self) -> Self:
        name = known_metric(self.metric).name
        if (name == "operating_state") != bool(self.states):
            raise ValueError(f"states and operating_state belong together; {name} has {len(self.states)} states")
        if (name == "fault_codes") != (self.code_prefix is not None):
            raise ValueError(f"code_prefix and fault_codes belong together; this is {name}")
        if self.states or self.code_prefix is not None:
            return self
        if self.unit is None:
            raise ValueError(
                f"unit is missing: say what the device counts in ({name} is kept in {self.catalogue.unit})"
            )
        check_unit(self.unit, self.catalogue)
        if not self.scale:
            raise ValueError("scale is 0, which would make every value the same; leave it out for 1")
        return self


def check_keys(groups: tuple[tuple[MappedValue, ...], ...], read_for: tuple[DeviceType, ...]) -> None:
    """Whether each device type gets each key at most once, and only keys that it can have, for validators.

    Args:
        groups: values by topic or request. A value with a condition may have a twin whose condition excludes it.
        read_for: the map's device types.

    Raises:
        ValueError: naming the key.
    """
    for device_type in read_for:
        keys: list[str] = []
        for value in (value for group in groups for value in group):
            if value.read_for and device_type not in value.read_for:
                continue
            if device_type not in value.catalogue.device_types:
                raise ValueError(f"{value.metric} does not exist for {device_type.value}")
            if value.only_if is None:
                keys.append(value.metric)
        for key in keys:
            if keys.count(key) > 1:
                raise ValueError(f"{key} is given {keys.count(key)} times; keep one")
    for value in (value for group in groups for value in group):
        if not set(value.read_for) <= set(read_for):
            raise ValueError(
                f"{value.metric} is for {', '.join(value.read_for)}, but the map is for {', '.join(read_for)}"
            )


class WithTemplates(ProfilePart):
    """A map in whose texts stand names in braces, which the connection fills.

    Attributes:
        defaults: of names that the connection does not give.
    """

    defaults: dict[str, str] = Field(default_factory=dict)

    @property
    def _templates(self) -> list[str]:
        raise NotImplementedError

    @property
    def placeholders(self) -> frozenset[str]:
        """Names that the connection must give."""
        return names_in(*self._templates) - set(self.defaults)

    @property
    def open_names(self) -> frozenset[str]:
        """Names that the connection may give."""
        found = (match for template in self._templates for match in PLACEHOLDER.findall(template))
        return frozenset(name for name, _ in found) - self.placeholders
