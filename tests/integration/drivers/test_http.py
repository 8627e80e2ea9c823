"""HTTP devices on real sockets: read as they answer, and nothing that they answer does harm."""

import asyncio
import gzip
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from edge_agent.clock import SystemClock
from edge_agent.drivers.base import DriverError
from edge_agent.drivers.http import MAX_ANSWER_BYTES, HttpAddress, HttpDriver, HttpEndpoint
from edge_agent.drivers.http_connection import HttpEndpoints
from edge_agent.profiles.load import ProfileLibrary
from shared.enums import DeviceType, ProtocolType, Quality
from shared.wire import PlanDevice
from tests.http_device import Device, answer, digest_guard, running, self_signed

LIBRARY = ProfileLibrary()
CAPTURES = Path(__file__).parents[2] / "profiles" / "captures" / "fronius_gen24_storage"
API = "/solar_api/v1/"
FRONIUS = {
    f"{API}GetInverterRealtimeData.cgi?Scope=Device&DeviceId=1&DataCollection=CommonInverterData": "inverter",
    f"{API}GetPowerFlowRealtimeData.fcgi": "power_flow",
    f"{API}GetMeterRealtimeData.cgi?Scope=System": "meter",
    f"{API}GetStorageRealtimeData.cgi?Scope=System": "storage",
}
FLOW = f"{API}GetPowerFlowRealtimeData.fcgi"
STATUS = "/rpc/Shelly.GetStatus"
EM = answer({"em:0": {"total_act_power": -456.7}, "emdata:0": {"total_act": 12345.67}})
ENVOY = "/production.json?details=1"
TWO_PARTS = """
format = 1
name = "two_parts"
title = "A meter with a part that not every one has"
quality = "draft"
for = ["meter"]
sources = [{ title = "a manual" }]
[[request]]
path = "/a"
value = [{ path = "w", metric = "grid_power_kw", unit = "W" }]
[[request]]
path = "/b"
optional = true
ok = { path = "here", any_of = [true] }
value = [{ path = "v", metric = "ac_voltage_v", unit = "V" }]
"""
PRODUCTION = answer(
    {"production": [{"type": "eim", "measurementType": "production", "activeCount": 1, "wNow": 311.12}]}
)


def fronius() -> Device:
    return Device({path: answer((CAPTURES / f"{name}.json").read_bytes()) for path, name in FRONIUS.items()})


def plan(
    port: int, profile: str, device_type: str, *, scheme: str = "http", query: str = "", **connection: Any
) -> PlanDevice:
    return PlanDevice(
        id=UUID("0198c5c5-0000-7000-8000-0000000000bb"),
        name="north roof",
        device_type=DeviceType(device_type),
        protocol=ProtocolType.HTTP,
        profile=profile,
        connection={"base_url": f"{scheme}://127.0.0.1:{port}/{query}", "timeout_seconds": 2.0} | connection,
    )


@asynccontextmanager
async def driver_of(device: PlanDevice) -> AsyncIterator[HttpDriver]:
    endpoints = HttpEndpoints()
    driver = endpoints.driver(device, LIBRARY.http(device.profile), clock=SystemClock())
    try:
        yield driver
    finally:
        await driver.close()
        await endpoints.close()
        await endpoints.close()


async def failure(device: PlanDevice) -> DriverError:
    async with driver_of(device) as driver:
        with pytest.raises(DriverError) as caught:
            await driver.read()
    return caught.value


async def test_a_recording_is_read() -> None:
    async with running(fronius()) as device, driver_of(plan(device.port, "fronius_solar_api", "inverter")) as driver:
        read = await driver.read()
        assert read.quality == Quality.GOOD
        assert read.values["ac_power_kw"] == pytest.approx(0.2509092559814453)
        assert read.values["energy_today_kwh"] is None
        assert (await driver.read()).values == read.values


async def test_devices_of_one_address_are_asked_one_at_a_time() -> None:
    async with running(fronius()) as device:
        device.delay_s = 0.02
        endpoints = HttpEndpoints()
        drivers = [
            endpoints.driver(
                plan(device.port, "fronius_solar_api", kind), LIBRARY.http("fronius_solar_api"), clock=SystemClock()
            )
            for kind in ("inverter", "meter", "battery")
        ]
        answers = await asyncio.gather(*(driver.read() for driver in drivers))
        inverter, meter, battery = [read.values for read in answers]
        await endpoints.close()
    assert device.most_at_once == 1
    assert meter["grid_power_kw"] == 0.4877
    assert battery["battery_soc_percent"] == 4.6
    assert inverter["dc_power_kw"] == pytest.approx(0.216432767868042)


async def test_what_does_not_answer_is_not_available_and_flagged() -> None:
    device = fronius()
    device.answers[FLOW] = answer({}, status="500 Internal Server Error")
    async with running(device), driver_of(plan(device.port, "fronius_solar_api", "meter")) as driver:
        read = await driver.read()
    assert read.quality == Quality.PARTIAL
    assert read.values["load_power_kw"] is None
    assert read.values["grid_power_kw"] == 0.4877


async def test_a_device_that_says_no_gives_its_reason() -> None:
    refusal = answer({"Head": {"Status": {"Code": 12, "Reason": "Transfer timeout"}}, "Body": {}})
    async with running(Device(dict.fromkeys(FRONIUS, refusal))) as device:
        error = await failure(plan(device.port, "fronius_solar_api", "battery"))
    assert (error.kind, error.retry) == ("exception", True)
    assert "Transfer timeout" in str(error)


async def test_digest_with_sha256() -> None:
    async with running(Device({STATUS: digest_guard(EM, username="admin", password="sun")})) as device:
        async with driver_of(plan(device.port, "shelly_gen2_em_http", "meter", password="sun")) as driver:
            assert (await driver.read()).values["grid_power_kw"] == -0.4567
            assert (await driver.read()).values["grid_import_energy_total_kwh"] == 12.34567
        error = await failure(plan(device.port, "shelly_gen2_em_http", "meter", password="moon"))
        assert (error.kind, error.retry) == ("refused", False)
        assert "correct username and password" in str(error)
        assert "moon" not in str(error)


async def test_basic() -> None:
    body = answer({"emeters": [{"power": 100, "is_valid": True}]})
    async with running(Device({"/status": body})) as device:
        async with driver_of(
            plan(device.port, "shelly_gen1_em_http", "meter", username="me", password="sun")
        ) as driver:
            assert (await driver.read()).values["grid_power_kw"] == 0.1
        assert device.asked[0][1]["authorization"] == "Basic bWU6c3Vu"


async def test_a_token_goes_in_the_header_alone(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    def guarded(path: str, headers: dict[str, str]) -> bytes:
        return PRODUCTION if headers.get("authorization") == "Bearer eyJ.secret" else answer({}, status="403 Forbidden")

    async with running(Device({ENVOY: guarded})) as device:
        async with driver_of(plan(device.port, "enphase_envoy", "inverter", token="eyJ.secret")) as driver:
            assert (await driver.read()).values["ac_power_kw"] == 0.31112
        error = await failure(plan(device.port, "enphase_envoy", "inverter", token="eyJ.other"))
    assert (error.kind, error.retry) == ("refused", False)
    assert "eyJ" not in f"{error} {error.__cause__} {caplog.text}"


async def test_a_certificate_of_its_own(tmp_path: Path) -> None:
    own, other = self_signed(tmp_path), self_signed(tmp_path, name="other")
    async with running(Device({ENVOY: PRODUCTION}), tls=own.context) as device:

        def envoy(**connection: Any) -> PlanDevice:
            return plan(device.port, "enphase_envoy", "inverter", scheme="https", token="secret", **connection)

        error = await failure(envoy())
        assert error.kind == "refused"
        assert "certificate" in str(error).lower()
        error = await failure(envoy(tls_fingerprint=other.fingerprint))
        assert own.fingerprint in str(error)
        assert device.asked == [], "the token was shown to somebody unknown"
        spelt = ":".join(own.fingerprint[at : at + 2].upper() for at in range(0, 64, 2))
        for trust in ({"tls_fingerprint": spelt}, {"verify_tls": False}):
            async with driver_of(envoy(**trust)) as driver:
                assert (await driver.read()).values["ac_power_kw"] == 0.31112


async def test_a_certificate_from_a_file(tmp_path: Path) -> None:
    own = self_signed(tmp_path, name="localhost", has_address=True)
    async with running(Device({ENVOY: PRODUCTION}), tls=own.context) as device:
        connection = {"base_url": f"https://localhost:{device.port}", "ca_file": str(own.file)}
        async with driver_of(plan(device.port, "enphase_envoy", "inverter", **connection)) as driver:
            assert (await driver.read()).values["ac_power_kw"] == 0.31112


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        (answer({}, status="302 Found", headers="Location: http://127.0.0.1:1/x\r\n"), "refused", "points elsewhere"),
        (answer({}, status="404 Not Found"), "exception", "another family"),
        (answer({}, status="503 Service Unavailable"), "exception", "answered 503"),
        (answer(b"<html>"), "malformed", "is no JSON"),
        (answer(b"7"), "malformed", "neither an object nor an array"),
        (answer(b"[" * 100_000), "malformed", "no JSON|nested too deeply"),
        (answer(b" " * (MAX_ANSWER_BYTES + 1)), "malformed", "more than 1000000 bytes"),
        (answer(gzip.compress(b"{}", mtime=0), headers="Content-Encoding: gzip\r\n"), "malformed", "compressed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\nConnection: close\r\n\r\n{", "timeout|malformed", ""),
        (b"SSH-2.0-dropbear\r\n\r\n", "malformed", ""),
        (answer({"em:0": {"total_act_power": "many"}}), "malformed", "expected a number"),
    ],
)
async def test_what_is_no_answer_is_named(said: bytes, kind: str, words: str) -> None:
    async with running(Device({STATUS: said})) as device:
        error = await failure(plan(device.port, "shelly_gen2_em_http", "meter", timeout_seconds=1.0))
    assert error.retry
    assert error.kind in kind.split("|")
    assert STATUS in str(error)
    assert len(str(error)) < 400
    assert any(word in str(error) for word in words.split("|"))


async def test_single_drops_end_with_the_time_out() -> None:
    device = Device({STATUS: EM})
    device.drip_s = 0.05
    async with running(device):
        error = await failure(plan(device.port, "shelly_gen2_em_http", "meter", timeout_seconds=0.3))
    assert (error.kind, error.retry) == ("timeout", True)


async def test_nobody_there() -> None:
    async with running(Device({})) as device:
        port = device.port
    error = await failure(plan(port, "shelly_gen2_em_http", "meter"))
    assert (error.kind, error.retry) == ("refused", True)
    assert "check base_url" in str(error)


async def test_a_device_that_was_away_is_read_again() -> None:
    device = Device({STATUS: answer({}, status="503 Service Unavailable")})
    async with running(device), driver_of(plan(device.port, "shelly_gen2_em_http", "meter")) as driver:
        with pytest.raises(DriverError):
            await driver.read()
        device.answers[STATUS] = EM
        assert (await driver.read()).values["grid_power_kw"] == -0.4567


async def test_names_come_from_the_query_and_are_not_sent() -> None:
    live = {
        "inverters": [{"serial": "1141", "reachable": True, "data_age": 2, "AC": {"0": {"Power": {"v": 10, "u": "W"}}}}]
    }
    path = "/api/livedata/status?inv=1141"
    async with running(Device({path: answer(live)})) as device:
        async with driver_of(plan(device.port, "opendtu_http", "inverter", query="?serial=1141")) as driver:
            assert (await driver.read()).values["ac_power_kw"] == 0.01
        assert [asked for asked, _ in device.asked] == [path]


@pytest.mark.parametrize(
    ("change", "kind"),
    [({"data_age": 301}, "stale"), ({"reachable": False}, "exception"), ({"serial": "1"}, "exception")],
)
async def test_repeated_values_are_not_the_present(change: dict[str, Any], kind: str) -> None:
    inverter = {"serial": "1141", "reachable": True, "data_age": 2, "AC": {"0": {"Power": {"v": 10, "u": "W"}}}}
    live = answer({"inverters": [inverter | change]})
    async with running(Device({"/api/livedata/status?inv=1141": live})) as device:
        error = await failure(plan(device.port, "opendtu_http", "inverter", serial="1141"))
    assert (error.kind, error.retry) == (kind, True)


@pytest.mark.parametrize("missing", [answer({}, status="404 Not Found"), answer({"here": False})])
async def test_an_optional_request_may_be_missing(tmp_path: Path, missing: bytes) -> None:
    (tmp_path / "http").mkdir()
    (tmp_path / "http" / "two_parts.toml").write_text(TWO_PARTS)
    two_parts = ProfileLibrary(tmp_path).http("two_parts")
    async with running(Device({"/a": answer({"w": 5}), "/b": missing})) as device:
        endpoints = HttpEndpoints()
        driver = endpoints.driver(plan(device.port, "two_parts", "meter"), two_parts, clock=SystemClock())
        read = await driver.read()
        await endpoints.close()
    assert read.quality == Quality.GOOD
    assert read.values == {"grid_power_kw": 0.005, "ac_voltage_v": None}


async def test_a_device_that_has_none_of_its_parts_is_of_another_family() -> None:
    async with running(Device({})) as device:
        error = await failure(plan(device.port, "enphase_envoy", "inverter"))
    assert (error.kind, error.retry) == ("exception", True)
    assert "another family" in str(error)


@pytest.mark.parametrize(
    ("connection", "words"),
    [
        ({"base_url": "ftp://h/"}, ["connection.base_url = 'ftp://h/'"]),
        ({"base_url": "http://me:hush@h/"}, ["base_url names a user", "use username and password"]),
        ({"timeout_seconds": 0}, ["connection.timeout_seconds = 0"]),
        ({"base_url": "https://h/", "tls_fingerprint": "abc"}, ["tls_fingerprint = 'abc'", "64 hexadecimal digits"]),
        ({"base_url": "https://h/", "ca_file": "/nowhere.pem"}, ["ca_file = '/nowhere.pem'", "give a PEM file"]),
        ({"password": "hush", "verify_tls": "perhaps"}, ["connection.verify_tls = 'perhaps'"]),
        ({"serial": "a&b"}, ["serial is 'a&b'"]),
        ({}, ["serial is None"]),
    ],
)
def test_a_wrong_connection_says_what_is_wrong(connection: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(DriverError) as caught:
        HttpEndpoints().driver(
            plan(1, "opendtu_http", "inverter", **connection), LIBRARY.http("opendtu_http"), clock=SystemClock()
        )
    assert (caught.value.kind, caught.value.retry) == ("config", False)
    assert str(caught.value).startswith("north roof: ")
    assert "hush" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


async def test_a_device_is_left_alone_between_two_requests() -> None:
    async with running(Device({"/a": answer({})})) as device:
        endpoint = HttpEndpoint(HttpAddress(f"http://127.0.0.1:{device.port}", gap_s=0.2))
        started = asyncio.get_running_loop().time()
        for _ in range(3):
            assert await endpoint.get("/a") == b"{}"
        took = asyncio.get_running_loop().time() - started
        await endpoint.close()
    assert took >= 0.4


def test_a_connection_that_names_nothing_to_read_is_refused() -> None:
    with pytest.raises(DriverError, match="give at least one of") as caught:
        HttpEndpoints().driver(
            plan(1, "json_http", "meter", request="x"), LIBRARY.http("json_http"), clock=SystemClock()
        )
    assert caught.value.kind == "config"
