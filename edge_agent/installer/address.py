"""The address of a device as an installer types it, one URL, and the connection of a plan that it stands for. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urlsplit

from edge_agent.errors import EdgeError
from shared.enums import ProtocolType

MODBUS_PORT = 502
SOLARMAN_PORT = 8899
SOLARMAN_DRIVER = "solarman_v5"
VOLTRONIC_DRIVER = "voltronic_pi30"

EXAMPLES = (
    "tcp://192.168.1.50:502",
    "rtu:///dev/ttyUSB0?baud=9600&parity=N",
    "rtutcp://192.168.1.60:4196",
    "v5://192.168.1.70:8899?serial=2712345678",
    "mqtt://user:password@192.168.1.2:1883/solar/roof",
    "http://192.168.1.80",
    "pi30:///dev/ttyUSB0?baud=2400",
)
"""One for each kind of address."""


class AddressError(EdgeError):
    """The address of a device is not one; the message names the part, its value and how to write it."""


@dataclass(frozen=True, slots=True)
class DeviceAddress:
    """Where a device answers.

    Attributes:
        protocol: as in the plan.
        connection: as in the plan; secrets in clear.
        shown: for people and logs, without secrets.
    """

    protocol: ProtocolType
    connection: Mapping[str, Any] = field(repr=False)
    shown: str

    @property
    def has_units(self) -> bool:
        """Whether Modbus units lie behind it."""
        return "slave_id" in self.connection

    def with_unit(self, unit: int) -> "DeviceAddress":
        """The same endpoint, another Modbus unit; without units it stays as it is."""
        if not self.has_units:
            return self
        return DeviceAddress(self.protocol, {**self.connection, "slave_id": unit}, self.shown)


@dataclass(frozen=True, slots=True)
class _Option:
    """What a word after the question mark becomes in the connection."""

    key: str
    kind: type[int] | type[float] | type[str] = str
    one_of: tuple[str, ...] = ()


_TIMEOUT = {"timeout": _Option("timeout_seconds", float)}
_GAP = {"gap": _Option("request_gap_seconds", float)}
_MODBUS_OPTIONS = _TIMEOUT | _GAP
_TCP_OPTIONS = _MODBUS_OPTIONS | {
    "base": _Option("base_address", int),
    "grid_sign": _Option("grid_sign", one_of=("+import", "+export")),
}
_LINE_OPTIONS = {
    "baud": _Option("baud_rate", int),
    "parity": _Option("parity", one_of=("N", "E", "O")),
    "stopbits": _Option("stop_bits", int, one_of=("1", "2")),
}


def parse_address(url: str, *, unit: int = 1, logger_serial: int | None = None) -> DeviceAddress:
    """Understand a device's URL; see `EXAMPLES`.

    Args:
        url: of the device.
        unit: Modbus unit, where there are units.
        logger_serial: of a Solarman data logger, if the URL does not say it.

    Raises:
        AddressError: naming the part that is wrong.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise AddressError(f"url = {_without_secrets(url)!r}: {error}; write it like {EXAMPLES[0]}") from error
    match parts.scheme:
        case "tcp" | "rtutcp":
            return _modbus_tcp(parts, port, unit=unit)
        case "rtu":
            return _serial_line(parts, unit=unit)
        case "v5":
            return _solarman(parts, port, unit=unit, logger_serial=logger_serial)
        case "pi30":
            return _voltronic(parts, port)
        case "mqtt" | "mqtts":
            return _mqtt(parts, port)
        case "http" | "https":
            return _http(parts, port)
        case _:
            raise AddressError(
                f"url = {_without_secrets(url)!r} has no kind that is known; write it like one of {', '.join(EXAMPLES)}"
            )


def _modbus_tcp(parts: SplitResult, port: int | None, *, unit: int) -> DeviceAddress:
    host = _host(parts)
    _refuse_path(parts)
    connection: dict[str, Any] = {"host": host, "port": port or MODBUS_PORT, "slave_id": unit}
    if parts.scheme == "rtutcp":
        connection["framer"] = "rtu"
    return DeviceAddress(
        ProtocolType.MODBUS_TCP,
        connection | _options(parts, _TCP_OPTIONS),
        f"{parts.scheme}://{host}:{port or MODBUS_PORT}",
    )


def _serial_line(parts: SplitResult, *, unit: int) -> DeviceAddress:
    connection = {"serial_port": _port_file(parts), "slave_id": unit}
    connection |= _options(parts, _LINE_OPTIONS | _TCP_OPTIONS)
    return DeviceAddress(ProtocolType.MODBUS_RTU, connection, f"rtu://{parts.path}")


def _solarman(parts: SplitResult, port: int | None, *, unit: int, logger_serial: int | None) -> DeviceAddress:
    host = _host(parts)
    _refuse_path(parts)
    options = _options(parts, _MODBUS_OPTIONS | {"serial": _Option("logger_serial", int)})
    serial = options.pop("logger_serial", logger_serial)
    if serial is None:
        raise AddressError(
            f"logger_serial is missing for {parts.scheme}://{host}; give --logger-serial, the number on the logger's label"
        )
    connection = {
        "driver": SOLARMAN_DRIVER,
        "host": host,
        "port": port or SOLARMAN_PORT,
        "logger_serial": serial,
        "slave_id": unit,
    }
    return DeviceAddress(ProtocolType.CUSTOM, connection | options, f"v5://{host}:{port or SOLARMAN_PORT}")


def _voltronic(parts: SplitResult, port: int | None) -> DeviceAddress:
    connection: dict[str, Any] = {"driver": VOLTRONIC_DRIVER}
    if parts.hostname:
        if port is None:
            raise AddressError(f"port is missing in pi30://{parts.hostname}; add the port of the serial bridge")
        where: dict[str, Any] = {"host": parts.hostname, "port": port}
        return DeviceAddress(
            ProtocolType.CUSTOM, connection | where | _options(parts, _TIMEOUT), f"pi30://{parts.netloc}"
        )
    where = {"serial_port": _port_file(parts)}
    options = _options(parts, {"baud": _LINE_OPTIONS["baud"]} | _TIMEOUT)
    return DeviceAddress(ProtocolType.CUSTOM, connection | where | options, f"pi30://{parts.path}")


def _mqtt(parts: SplitResult, port: int | None) -> DeviceAddress:
    host = _host(parts)
    connection: dict[str, Any] = {"broker": host}
    if port is not None:
        connection["port"] = port
    if parts.scheme == "mqtts":
        connection["use_tls"] = True
    prefix = unquote(parts.path).strip("/")
    if prefix:
        connection["topic_prefix"] = prefix
    names = dict(parse_qsl(parts.query, keep_blank_values=True))
    return DeviceAddress(
        ProtocolType.MQTT, connection | _login(parts) | names, f"{parts.scheme}://{_place(host, port)}/{prefix}"
    )


def _http(parts: SplitResult, port: int | None) -> DeviceAddress:
    """What the query says beyond this agent's own options stays in the address: maps take names from it."""
    host = _host(parts)
    shown = f"{parts.scheme}://{_place(host, port)}{parts.path.rstrip('/')}"
    own = _TIMEOUT | {"token": _Option("token")}
    given = parse_qsl(parts.query, keep_blank_values=True)
    options = _options(parts._replace(query=urlencode([pair for pair in given if pair[0] in own])), own)
    names = urlencode([pair for pair in given if pair[0] not in own])
    base_url = f"{shown}/?{names}" if names else shown
    return DeviceAddress(ProtocolType.HTTP, {"base_url": base_url} | _login(parts) | options, shown)


def _host(parts: SplitResult) -> str:
    if not parts.hostname:
        raise AddressError(f"the host is missing after {parts.scheme}://; write it like {_example(parts.scheme)}")
    return parts.hostname


def _place(host: str, port: int | None) -> str:
    named = f"[{host}]" if ":" in host else host
    return named if port is None else f"{named}:{port}"


def _port_file(parts: SplitResult) -> str:
    if parts.netloc or not parts.path.startswith("/") or parts.path == "/":
        raise AddressError(
            f"serial port = {parts.netloc + parts.path!r} is no file; write it with three slashes, like {_example(parts.scheme)}"
        )
    return unquote(parts.path)


def _refuse_path(parts: SplitResult) -> None:
    if parts.path not in {"", "/"}:
        raise AddressError(f"path = {parts.path!r} means nothing after {parts.scheme}://; leave it out")


def _login(parts: SplitResult) -> dict[str, Any]:
    given = {"username": parts.username, "password": parts.password}
    return {key: unquote(text) for key, text in given.items() if text is not None}


def _options(parts: SplitResult, known: Mapping[str, _Option]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, text in parse_qsl(parts.query.replace("+", "%2B"), keep_blank_values=True):
        option = known.get(name)
        if option is None:
            raise AddressError(f"{name} is no option of {parts.scheme}://; known are {', '.join(known)}")
        if option.one_of and text not in option.one_of:
            raise AddressError(f"{name} = {text!r} is not known; choose {' or '.join(option.one_of)}")
        try:
            found[option.key] = option.kind(text)
        except ValueError:
            raise AddressError(f"{name} = {text!r} is no number; correct it in the URL") from None
    return found


def _example(scheme: str) -> str:
    return next((example for example in EXAMPLES if example.startswith(f"{scheme}:")), EXAMPLES[0])


def _without_secrets(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://…@{rest.rpartition('@')[2]}" if "@" in rest else url
