"""Drivers from other packages: found by entry point, named in every error, kept from harming the agent.

A package offers one by an entry point of the group `solarhub.drivers`:

    [project.entry-points."solarhub.drivers"]
    acme_charger = "acme_solarhub:build"

where `build` is a `DriverMaker`. The README of the agent has an example.
"""

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import EntryPoint, entry_points
from typing import Protocol

from edge_agent.clock import Clock
from edge_agent.drivers.base import DeviceAnswer, Driver, DriverError
from shared.metrics import UnknownMetricError, metric_of
from shared.readings import Value
from shared.wire import PlanDevice

LOG = logging.getLogger(__name__)

ENTRY_POINTS = "solarhub.drivers"


class DriverMaker(Protocol):
    """What an entry point names."""

    def __call__(self, connection: Mapping[str, object], device: PlanDevice, clock: Clock) -> Driver:
        """Build the driver of one device; opens nothing yet.

        Args:
            connection: of the device, as the plan has it, `driver` included.
            device: the whole device.
            clock: of the agent; use it for everything that is not a socket's time-out.

        Raises:
            DriverError: with kind `config` if the connection is wrong, naming field, value and way out.
        """
        ...


class Plugins:
    """The drivers that other installed packages offer.

    Args:
        found: entry points; None for those of the installed packages.
    """

    def __init__(self, found: Sequence[EntryPoint] | None = None) -> None:
        self._found = tuple(entry_points(group=ENTRY_POINTS)) if found is None else tuple(found)

    def names(self) -> tuple[str, ...]:
        """Their names, each once."""
        return tuple(sorted({point.name for point in self._found}))

    def build(self, name: str, device: PlanDevice, *, clock: Clock) -> Driver:
        """The driver of one device by a plug-in.

        Raises:
            DriverError: `config`, naming the plug-in, if it cannot be loaded, or whatever it refuses the device with.
        """
        point = self._one(name, device=device)
        plugin = _described(point)
        with _named(f"{device.name}: {plugin} cannot be loaded", kind="config"):
            maker = point.load()
        if not callable(maker):
            raise _wrong(
                f"{device.name}: {plugin} names {type(maker).__name__}, which cannot be called; name a DriverMaker"
            )
        with _named(f"{device.name}: {plugin} cannot build a driver", kind="config"):
            driver = maker(dict(device.connection), device, clock)
        if not (callable(getattr(driver, "read", None)) and callable(getattr(driver, "close", None))):
            raise _wrong(f"{device.name}: {plugin} built {type(driver).__name__}, which has no `read` and `close`")
        return PluginDriver(driver, plugin=plugin)

    def _one(self, name: str, *, device: PlanDevice) -> EntryPoint:
        points = [point for point in self._found if point.name == name]
        if len({point.value for point in points}) > 1:
            offers = " and ".join(_described(point) for point in points)
            raise _wrong(f"{device.name}: connection.driver = {name!r} is offered twice, by {offers}; uninstall one")
        return points[0]


class PluginDriver:
    """A plug-in's driver, whose errors bear its name and whose values are looked at before they are believed.

    Args:
        driver: the plug-in's own.
        plugin: its description, for messages.
    """

    def __init__(self, driver: Driver, *, plugin: str) -> None:
        self._driver = driver
        self._plugin = plugin

    async def read(self) -> DeviceAnswer:
        """Read the device.

        Raises:
            DriverError: the plug-in's own, or `malformed` if it fails otherwise or says what no metric can be.
        """
        with _named(f"{self._plugin} failed", kind="malformed", retry=True):
            answer = await self._driver.read()
        if not isinstance(answer, DeviceAnswer):
            raise self._malformed(f"gave {type(answer).__name__} instead of a DeviceAnswer")
        return DeviceAnswer({key: self._checked(key, value) for key, value in answer.values.items()}, answer.quality)

    async def close(self) -> None:
        """Let the plug-in release what it holds; what it fails with is logged, because nobody can do anything about it."""
        try:
            with _named(f"{self._plugin} failed to close", kind="malformed"):
                await self._driver.close()
        except DriverError as error:
            LOG.warning("plugin_not_closed", extra={"plugin": self._plugin, "error": str(error)})

    def _checked(self, key: str, value: object) -> Value:
        try:
            metric_of(key)
        except UnknownMetricError as error:
            raise self._malformed(str(error)) from error
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self._malformed(f"gave {key} = {value!r}; a value is a finite number, a text or None")
        return float(value)

    def _malformed(self, message: str) -> DriverError:
        return DriverError(f"{self._plugin}: {message}", retry=True, kind="malformed")


@contextmanager
def _named(what: str, *, kind: str, retry: bool = False) -> Iterator[None]:
    """Turn whatever foreign code fails with into an error of ours that says whose it is."""
    try:
        yield
    except DriverError:
        raise
    except (Exception, SystemExit) as error:
        raise DriverError(f"{what}: {type(error).__name__}: {error}", retry=retry, kind=kind) from error


def _described(point: EntryPoint) -> str:
    package = f"{point.dist.name} {point.dist.version}" if point.dist else "an unknown package"
    return f"plug-in {point.name!r} ({point.value}, of {package})"


def _wrong(message: str) -> DriverError:
    return DriverError(message, retry=False, kind="config")
