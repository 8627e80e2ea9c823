"""Settings and clocks: what is given, what is wrong, and what is said about it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge_agent.clock import SystemClock, VirtualClock
from edge_agent.config import EdgeSettings, clock_from_environment, default_data_dir, load_settings
from edge_agent.errors import ConfigError

CLOCK = {
    "SOLARHUB_CLOCK_START": "2026-06-01T00:00:00+05:00",
    "SOLARHUB_CLOCK_END": "2026-06-02T00:00:00+05:00",
    "SOLARHUB_CLOCK_SPEED": "900",
    "SOLARHUB_CLOCK_EPOCH": "1780000000.5",
}


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "edge.toml"
    file.write_text('data_dir = "/data"\nflush_interval_s = 60\nquota_mb = 64\nweb_names = ["roof.lan"]\n')
    environ = {"SOLARHUB_EDGE_CONFIG": str(file), "SOLARHUB_EDGE_QUOTA_MB": "128", "SOLARHUB_EDGE_WEB_ENABLED": "false"}
    settings = load_settings(environ)
    assert (settings.data_dir, settings.flush_interval_s, settings.quota_mb) == (Path("/data"), 60, 128)
    assert (settings.web_enabled, settings.web_names) == (False, ("roof.lan",))


def test_names_come_as_a_list_from_the_environment() -> None:
    settings = load_settings(
        {"HOME": "/home/x", "SOLARHUB_EDGE_WEB_NAMES": "roof.lan, solar.lan", "SOLARHUB_EDGE_CLOUD_URL": ""}
    )
    assert settings.web_names == ("roof.lan", "solar.lan")
    assert settings.cloud_url is None


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"STATE_DIRECTORY": "/var/lib/solarhub-edge:/other"}, "/var/lib/solarhub-edge"),
        ({"XDG_STATE_HOME": "/x/state", "HOME": "/home/x"}, "/x/state/solarhub-edge"),
        ({"HOME": "/home/x"}, "/home/x/.local/state/solarhub-edge"),
        ({}, "/var/lib/.local/state/solarhub-edge"),
    ],
)
def test_where_the_data_is(environ: dict[str, str], expected: str) -> None:
    assert default_data_dir(environ) == Path(expected)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("quota_mb = 1", r"quota_mb is 1: .*SOLARHUB_EDGE_QUOTA_MB"),
        ("quota_mbs = 100", "quota_mbs is 100"),
        ('log_level = "LOUD"', "log_level is 'LOUD'"),
        ("flush_interval_s = 0", "flush_interval_s is 0"),
        ("quota_mb =", "not TOML"),
    ],
)
def test_a_wrong_file_is_named_with_field_and_value(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "edge.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=said) as caught:
        load_settings({}, file=file)
    assert str(file) in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml cannot be read"):
        load_settings({}, file=tmp_path / "none.toml")


def test_every_setting_is_documented() -> None:
    text = EdgeSettings.__doc__ or ""
    assert [name for name in EdgeSettings.model_fields if f"        {name}: " not in text] == []


def test_all_four_variables_make_a_simulated_clock() -> None:
    clock = clock_from_environment(CLOCK)
    assert clock == VirtualClock(
        start=datetime(2026, 5, 31, 19, tzinfo=UTC),
        end=datetime(2026, 6, 1, 19, tzinfo=UTC),
        speed=900,
        epoch=1780000000.5,
    )
    assert isinstance(clock_from_environment({}), SystemClock)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("START", "yesterday", "START is 'yesterday'"),
        ("START", "2026-06-01T00:00:00", "without an offset"),
        ("START", "2026-06-03T00:00:00Z", "not after"),
        ("SPEED", "fast", "SPEED is 'fast'"),
        ("SPEED", "0", "SPEED is 0"),
        ("EPOCH", "", "SOLARHUB_CLOCK_EPOCH not set"),
    ],
)
def test_a_wrong_simulated_clock_is_explained(name: str, value: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        clock_from_environment({**CLOCK, f"SOLARHUB_CLOCK_{name}": value})


async def test_the_systems_clock_goes_on() -> None:
    clock = SystemClock()
    before, wall = clock.monotonic(), clock.now()
    await clock.sleep(0.01)
    assert clock.monotonic() - before >= 0.01
    assert timedelta(0) < clock.now() - wall < timedelta(seconds=30)
