"""Settings of the agent: one TOML file, overridden by the environment."""

import os
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AnyHttpUrl, BaseModel, ConfigDict, Field, ValidationError

from edge_agent.clock import Clock, EpochFile, SystemClock, VirtualClock
from edge_agent.errors import ConfigError

PREFIX = "SOLARHUB_EDGE_"
DEFAULT_FILE = Path("/etc/solarhub/edge.toml")

_CLOCK_NAMES = ("SOLARHUB_CLOCK_START", "SOLARHUB_CLOCK_END", "SOLARHUB_CLOCK_SPEED", "SOLARHUB_CLOCK_EPOCH")

Seconds = Annotated[float, Field(gt=0, le=86_400)]


class ZeroExportOptions(BaseModel):
    """`[zero_export]` of the settings' file; without it nothing is ever written.

    Attributes:
        meter: name of the grid meter in the plan; it must be polled at least every `meter_max_age_s`.
        inverter: name of the inverter whose active power is limited.
        rated_kw: its AC power; None for the plan's.
        import_margin_kw: imported at least.
        raise_percent_per_s: how fast the limit may rise.
        meter_max_age_s: an older reading of the meter is none.
        meter_proof_s: how long a meter that was lost must be back before it is followed again.
        fallback_percent: the limit without a meter, and when the agent ends.
        reversion_s: a SunSpec inverter drops the limit by itself after so long without the agent; 0 for never.
        accepts_loss: the site may export while the agent is not running.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    meter: str
    inverter: str
    rated_kw: float | None = Field(default=None, gt=0)
    import_margin_kw: float = Field(default=0.05, ge=0)
    raise_percent_per_s: float = Field(default=2.0, gt=0)
    meter_max_age_s: Seconds = 5.0
    meter_proof_s: float = Field(default=30.0, ge=0, le=3600)
    fallback_percent: Annotated[float, Field(ge=0, le=100)] = 0.0
    reversion_s: int = Field(default=0, ge=0, le=3600)
    accepts_loss: bool = False


class EdgeSettings(BaseModel):
    """Every setting. In the file by its name, in the environment as `SOLARHUB_EDGE_<NAME>`, which wins.

    Attributes:
        data_dir: folder of the store and the credential; created with mode 0700.
        cloud_url: used by `enrol` when it is not given there; afterwards the credential remembers its cloud.
        web_enabled: whether the local page is served.
        web_host: address that the local page listens on.
        web_port: its port; 0 lets the system choose.
        web_names: further host names under which the page may be asked for.
        flush_interval_s: readings are committed this often; longer is kinder to an SD card and loses more in a power cut.
        heartbeat_interval_s: the live lane speaks this often.
        sync_interval_s: the back-fill lane gathers readings for this long before it sends.
        quota_mb: most that the store may take of the disk.
        batch_readings: most readings in one upload.
        batch_bytes: most bytes of JSON in one upload, before compression.
        rate_limit_bytes_per_s: of the back-fill lane, compressed; None = no limit.
        http_timeout_s: real seconds without a byte after which a request to the cloud is given up.
        ca_file: certificate authority of a private cloud, added to none: it replaces the usual ones.
        log_level: least severe lines that are written.
        zero_export: a loop that limits an inverter so that the site does not export; off without it. Only in the file, as `[zero_export]`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    data_dir: Path
    cloud_url: AnyHttpUrl | None = None
    web_enabled: bool = True
    web_host: str = "0.0.0.0"
    web_port: int = Field(default=8080, ge=0, le=65_535)
    web_names: tuple[str, ...] = ()
    flush_interval_s: Seconds = 5.0
    heartbeat_interval_s: Seconds = 10.0
    sync_interval_s: Seconds = 5.0
    quota_mb: int = Field(default=512, ge=8, le=1_000_000)
    batch_readings: int = Field(default=5_000, ge=1, le=5_000)
    batch_bytes: int = Field(default=1_000_000, ge=10_000, le=1_000_000)
    rate_limit_bytes_per_s: float | None = Field(default=None, gt=0)
    http_timeout_s: Seconds = 30.0
    ca_file: Path | None = None
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    zero_export: ZeroExportOptions | None = None


def default_data_dir(environ: Mapping[str, str]) -> Path:
    """The state folder that systemd made, else one in the home folder."""
    state = environ.get("STATE_DIRECTORY")
    if state:
        return Path(state.split(":", maxsplit=1)[0])
    home = Path(environ.get("HOME") or "/var/lib")
    return Path(environ.get("XDG_STATE_HOME") or home / ".local" / "state") / "solarhub-edge"


def load_settings(environ: Mapping[str, str] = os.environ, *, file: Path | None = None) -> EdgeSettings:
    """Read the settings.

    Args:
        environ: the environment.
        file: a TOML file; else `SOLARHUB_EDGE_CONFIG`, else `/etc/solarhub/edge.toml` if it exists.

    Raises:
        ConfigError: naming the file, the field, the value and what is expected.
    """
    named = file or (Path(environ[f"{PREFIX}CONFIG"]) if environ.get(f"{PREFIX}CONFIG") else None)
    source = named or (DEFAULT_FILE if DEFAULT_FILE.is_file() else None)
    values: dict[str, object] = {"data_dir": default_data_dir(environ)}
    if source is not None:
        values |= _read_file(source)
    values |= _from_environment(environ)
    try:
        return EdgeSettings.model_validate(values)
    except ValidationError as error:
        raise ConfigError(_explain(error, source)) from error


def lock_down(folder: Path) -> None:
    """Make sure that the data folder exists and is nobody else's.

    Raises:
        ConfigError: if that is not possible.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_mode & 0o077:
            folder.chmod(0o700)
    except OSError as error:
        raise ConfigError(
            f"data_dir is {str(folder)!r}, which cannot be used ({error.strerror}); give a folder of this user's, SOLARHUB_EDGE_DATA_DIR"
        ) from error


def _read_file(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}); check the path and its permissions") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error


def _from_environment(environ: Mapping[str, str]) -> dict[str, object]:
    values: dict[str, object] = {}
    for name in EdgeSettings.model_fields:
        text = environ.get(PREFIX + name.upper())
        if text is None or text == "":
            continue
        values[name] = [part.strip() for part in text.split(",")] if name == "web_names" else text
    return values


def _explain(error: ValidationError, source: Path | None) -> str:
    places = []
    for detail in error.errors():
        name = ".".join(str(part) for part in detail["loc"])
        places.append(
            f"{name} is {detail['input']!r}: {detail['msg']} (set {PREFIX}{name.upper()} or `{name}` in the file)"
        )
    return f"settings{f' of {source}' if source else ''} are wrong: " + "; ".join(places)


def clock_from_environment(environ: Mapping[str, str] = os.environ) -> Clock:
    """The box's clock, or a simulated one when all four `SOLARHUB_CLOCK_*` variables are set.

    `SOLARHUB_CLOCK_EPOCH` is a Unix time, or the absolute path of a file that will hold one: until it is there the clock stands.

    Raises:
        ConfigError: if only some are set, or one is not readable.
    """
    given = {name: environ[name] for name in _CLOCK_NAMES if environ.get(name)}
    if not given:
        return SystemClock()
    missing = [name for name in _CLOCK_NAMES if name not in given]
    if missing:
        raise ConfigError(f"{', '.join(missing)} not set; a simulated clock needs all of {', '.join(_CLOCK_NAMES)}")
    start, end = (_moment(name, given[name]) for name in _CLOCK_NAMES[:2])
    speed = _number(_CLOCK_NAMES[2], given[_CLOCK_NAMES[2]])
    epoch = given[_CLOCK_NAMES[3]]
    if end <= start:
        raise ConfigError(f"{_CLOCK_NAMES[1]} is {end.isoformat()}, not after {_CLOCK_NAMES[0]} {start.isoformat()}")
    if speed <= 0:
        raise ConfigError(
            f"{_CLOCK_NAMES[2]} is {speed:g}; give seconds of the simulated clock per real second, above 0"
        )
    begins = EpochFile(Path(epoch)) if Path(epoch).is_absolute() else _number(_CLOCK_NAMES[3], epoch)
    return VirtualClock(start=start, end=end, speed=speed, epoch=begins)


def _moment(name: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{name} is {text!r}; give an ISO 8601 moment such as 2026-06-01T00:00:00+05:00") from None
    if moment.tzinfo is None:
        raise ConfigError(f"{name} is {text!r}, without an offset from UTC; add one, such as +05:00 or Z")
    return moment.astimezone(UTC)


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"{name} is {text!r}; give a number") from None
