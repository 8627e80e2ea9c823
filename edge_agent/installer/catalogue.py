"""The profiles as an installer chooses, checks and begins them."""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from edge_agent.drivers.factory import SUNSPEC
from edge_agent.drivers.sunspec import DEVICE_TYPES
from edge_agent.errors import ConfigError
from edge_agent.profiles.lint import lint
from edge_agent.profiles.load import ProfileLibrary
from edge_agent.profiles.model import Profile
from edge_agent.profiles.requests import HttpMap
from edge_agent.profiles.topics import TopicMap

MODBUS = "modbus"
MQTT = "mqtt"
HTTP = "http"
_MODELS: Mapping[str, type[BaseModel]] = {MODBUS: Profile, MQTT: TopicMap, HTTP: HttpMap}
"""How each kind of file is read; the kind is the name of the folder that the file lies in, Modbus where it is none of these."""

Shown = Profile | TopicMap | HttpMap
"""A profile of any kind."""

_SHOWN_CHARACTERS = 80


@dataclass(frozen=True, slots=True)
class Entry:
    """One profile in a list.

    Attributes:
        kind: `modbus`, `mqtt`, `http` or `sunspec`.
        trouble: why the file cannot be used; "" for a sound one.
    """

    name: str
    kind: str
    title: str = ""
    quality: str = ""
    platforms: tuple[str, ...] = ()
    sold_as: tuple[str, ...] = ()
    device_types: tuple[str, ...] = ()
    trouble: str = ""

    def to_json(self) -> dict[str, Any]:
        """As `profiles list --json` prints it."""
        return {
            "name": self.name,
            "kind": self.kind,
            "title": self.title,
            "quality": self.quality,
            "platforms": list(self.platforms),
            "sold_as": list(self.sold_as),
            "device_types": list(self.device_types),
            "trouble": self.trouble or None,
        }

    def matches(self, words: str) -> bool:
        """Whether every word occurs in the name, the title, a platform or a brand; case does not matter."""
        text = " ".join((self.name, self.title, *self.platforms, *self.sold_as)).lower()
        return all(word in text for word in words.lower().split())


def entries(library: ProfileLibrary) -> tuple[Entry, ...]:
    """Every profile by kind and name, SunSpec first; a broken file is listed with its trouble."""
    sunspec = Entry(
        SUNSPEC,
        SUNSPEC,
        title="Any device that speaks SunSpec: its models are found by asking",
        device_types=tuple(kind.value for kind in DEVICE_TYPES),
    )
    modbus = (_entry(name, MODBUS, library.modbus) for name in library.modbus_names())
    mqtt = (_entry(name, MQTT, library.mqtt) for name in library.mqtt_names())
    http = (_entry(name, HTTP, library.http) for name in library.http_names())
    return (sunspec, *modbus, *mqtt, *http)


def show(library: ProfileLibrary, name: str) -> Shown:
    """One profile, whole.

    Raises:
        ConfigError: if there is none of this name, or its file is broken.
    """
    for names, load in ((library.mqtt_names, library.mqtt), (library.http_names, library.http)):
        if name in names() and name not in library.modbus_names():
            return load(name)
    return library.modbus(name)


def kind_of(path: Path) -> str:
    """What kind of profile a file is, by its folder."""
    return path.parent.name if path.parent.name in _MODELS else MODBUS


def findings(path: Path) -> list[str]:
    """What is wrong in a profile file, one sentence each; empty for a sound one.

    Raises:
        ConfigError: if the file cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}); check the path and its permissions") from error
    except UnicodeDecodeError as error:
        return [f"the file is no UTF-8 text: {error}"]
    try:
        profile = _MODELS[kind_of(path)].model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        return [f"the file is no TOML: {error}"]
    except ValidationError as error:
        return [_in_words(item) for item in error.errors() if not _follows_from_others(item)]
    found = lint(profile) if isinstance(profile, Profile) else []
    name, title = getattr(profile, "name", path.stem), getattr(profile, "title", path.stem)
    if name != path.stem:
        found.insert(0, f"name = {name!r}: a profile's name is its file's name, {path.stem!r}")
    return found if title else ["title is empty: say maker, platform and kind of device", *found]


def _in_words(item: Mapping[str, Any]) -> str:
    """One finding: where, which value, what is expected. List entries count from 1, as people do."""
    place = ".".join(str(part + 1) if isinstance(part, int) else part for part in item["loc"]) or "file"
    if item["type"] == "missing":
        return f"{place} is missing: add it"
    message = item["msg"].removeprefix("Value error, ")
    if item["type"] == "too_short":
        return f"{place} is empty: name at least one"
    shown = repr(item["input"])
    return (
        f"{place}: {message}"
        if isinstance(item["input"], dict)
        else f"{place} = {shown[:_SHOWN_CHARACTERS]}: {message}"
    )


def _follows_from_others(item: Mapping[str, Any]) -> bool:
    """A list that is too short only because its entries were refused, which is said of them."""
    return item["type"] == "too_short" and bool(item["input"])


def _entry(name: str, kind: str, load: Callable[[str], Shown]) -> Entry:
    try:
        found = load(name)
    except ConfigError as error:
        return Entry(name, kind, trouble=str(error))
    types = found.device_types if isinstance(found, Profile) else found.read_for
    return Entry(
        name,
        kind,
        title=found.title,
        quality=found.quality.value,
        platforms=found.platforms if isinstance(found, Profile) else (),
        sold_as=found.sold_as if isinstance(found, Profile) else (),
        device_types=tuple(each.value for each in types),
    )


def skeleton(name: str) -> str:
    """A file to begin a Modbus profile with: commented, and refused by the check until the blanks are filled.

    Args:
        name: of the profile, which is the file's name without `.toml`.
    """
    return _SKELETON.replace("@NAME@", name)


_SKELETON = """\
# One file per platform (one register map), not per brand. Addresses are 0-based, as they travel in the request: a document that counts
# from 1, or writes 30001 and 40001, must be converted. Check with: solarhub-edge profiles lint @NAME@.toml

format = 1
name = "@NAME@"                # the file's name without .toml
title = ""                     # for people: maker, platform, kind of device
platforms = []                 # type designations that speak this map, such as ["XY-5K to 12K"]
sold_as = []                   # brands that sell the platform under their own name
quality = "draft"              # draft: from documents | simulated: a recording reads right | field-verified: compared on a roof
word_order = "high_first"      # which word of a long value has the lower address: high_first | low_first
quirks = []                    # what surprises, in words

[bus]
max_registers = 60             # in one request; the protocol allows 125, many devices less
max_gap = 8                    # unneeded registers that are read along rather than asked around
timeout_s = 3.0                # after which an answer counts as lost
# request_gap_s = 0.1          # silence that the device needs between two requests
# forbidden = [[100, 120]]     # ranges that no request may touch

# A register that tells this platform from others with the same addresses; `device scan` and `--profile auto` find the device by it.
# [[identity]]
# address = 0
# any_of = [3]
# meaning = "device type: 3 is this platform"

# Where the facts come from: at least one. Each [[sources]] has a title, and where there is one a url.
# [[sources]]
# title = "maker's register document, version and date"

# One [[row]] for each value. `solarhub-edge metrics` lists the metrics, their units, channels and device types.
[[row]]
metric = "ac_power_kw"         # the catalogue's name, with the channel after a dot: ac_voltage_v.l1, dc_power_kw.pv2
function = "holding"           # holding (function 3) | input (function 4)
# address = 100                # the first register
type = "u16"                   # u16 s16 u32 s32 u64 s64 f32 string bitfield
scale = 1                      # raw number -> number in `unit`
# unit = "W"                   # what the device counts in; converted into the metric's unit
# sign = 1                     # needed for grid and battery: + is import and discharging
# sentinels = [65535]          # raw words that mean "not available"
# range = [0, 20]              # lowest and highest sane value, in the metric's unit
# poll = "slow"                # for ratings and settings: every five minutes instead of at every poll
for = ["inverter"]             # device types that have the value: inverter meter battery weather_station sensor

# [[row]]
# metric = "operating_state"
# address = 101
# type = "u16"
# states = { 0 = "standby", 1 = "producing", 2 = "fault" }   # the maker's code -> off sleeping standby starting producing
# for = ["inverter"]                                         # producing_limited charging_only off_grid shutting_down fault maintenance
"""
