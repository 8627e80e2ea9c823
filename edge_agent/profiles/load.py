"""Profile files -> checked models.

A file is read when a device needs it: a broken one concerns the devices that use it and no other. A folder given by the installer is
looked at before the files that come with the agent, so that a map can be corrected on a site without a new release.
"""

import tomllib
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from edge_agent.errors import ConfigError
from edge_agent.profiles.lint import lint
from edge_agent.profiles.model import Profile
from edge_agent.profiles.requests import HttpMap
from edge_agent.profiles.topics import TopicMap

_Model = TypeVar("_Model", bound=BaseModel)

_MODBUS = "definitions"
_MQTT = "definitions/mqtt"
_HTTP = "definitions/http"


class UnknownProfileError(ConfigError):
    """No profile file has this name."""


class ProfileLibrary:
    """All profiles that the agent can use.

    Args:
        folder: the installer's own files: `*.toml` for Modbus, `mqtt/*.toml` for topic maps, `http/*.toml` for HTTP maps; None where
            there are none.
    """

    def __init__(self, folder: Path | None = None) -> None:
        shipped = files(__package__)
        self._modbus: list[Traversable] = [shipped.joinpath(_MODBUS)]
        self._mqtt: list[Traversable] = [shipped.joinpath(_MQTT)]
        self._http: list[Traversable] = [shipped.joinpath(_HTTP)]
        if folder is not None:
            self._modbus.insert(0, folder)
            self._mqtt.insert(0, folder / "mqtt")
            self._http.insert(0, folder / "http")

    def modbus_names(self) -> tuple[str, ...]:
        """Names of the Modbus profiles."""
        return _names(self._modbus)

    def mqtt_names(self) -> tuple[str, ...]:
        """Names of the topic maps."""
        return _names(self._mqtt)

    def http_names(self) -> tuple[str, ...]:
        """Names of the HTTP maps."""
        return _names(self._http)

    def modbus(self, name: str) -> Profile:
        """Load one Modbus profile.

        Raises:
            UnknownProfileError: if there is no such file; the message lists the known names.
            ConfigError: if the file is broken; the message names the file, the field, the value and the way out.
        """
        path = _find(self._modbus, name, what="Modbus profile")
        profile = _parse(Profile, path)
        _named_as_its_file(profile.name, path)
        if findings := lint(profile):
            raise ConfigError(f"{path.name}: " + "; ".join(findings))
        return profile

    def mqtt(self, name: str) -> TopicMap:
        """Load one topic map; raises as `modbus` does."""
        path = _find(self._mqtt, name, what="MQTT topic map")
        topic_map = _parse(TopicMap, path)
        _named_as_its_file(topic_map.name, path)
        return topic_map

    def http(self, name: str) -> HttpMap:
        """Load one HTTP map; raises as `modbus` does."""
        path = _find(self._http, name, what="HTTP map")
        http_map = _parse(HttpMap, path)
        _named_as_its_file(http_map.name, path)
        return http_map


def _names(folders: list[Traversable]) -> tuple[str, ...]:
    found = (entry.name for folder in folders if folder.is_dir() for entry in folder.iterdir())
    return tuple(sorted({name.removesuffix(".toml") for name in found if name.endswith(".toml")}))


def _find(folders: list[Traversable], name: str, *, what: str) -> Traversable:
    # Compared with the names that exist rather than joined to a path: a name from a plan never leaves the folders.
    if name in _names(folders):
        for folder in folders:
            path = folder.joinpath(f"{name}.toml")
            if path.is_file():
                return path
    raise UnknownProfileError(f"{what} {name!r} is not known; known are: {', '.join(_names(folders)) or 'none'}")


def _parse(model: type[_Model], path: Traversable) -> _Model:
    try:
        return model.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path.name} is no TOML: {error}; correct the line named") from error
    except ValidationError as error:
        raise ConfigError(f"{path.name}: {_in_words(error)}") from error
    except OSError as error:
        raise ConfigError(f"{path.name} cannot be read: {error}; check its permissions") from error


def _in_words(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, item['loc'])) or 'file'} = {_short(item['input'])}: {item['msg']}"
        for item in error.errors()
    )


def _short(value: object, *, limit: int = 120) -> str:
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}…"


def _named_as_its_file(name: str, path: Traversable) -> None:
    if path.name != f"{name}.toml":
        raise ConfigError(f"{path.name}: name = {name!r}; a profile's name is its file's name without .toml")
