"""Devices found behind real ports."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from edge_agent.installer.scan import FoundDevice, Progress, Scanner
from edge_agent.profiles.load import ProfileLibrary
from tests.captures import holding_of
from tests.integration.installer.command import solarhub_edge
from tests.modbus_server import exception, serve, serve_raw

DEYE = "sunsynk_sg01lp1_3k6"
KACO = "kaco_blueplanet_86tl3_producing"


@pytest.fixture(scope="module")
def library() -> ProfileLibrary:
    return ProfileLibrary()


@asynccontextmanager
async def gateway_without_units() -> AsyncIterator[int]:
    async def nobody(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(exception(request, 11))

    async with serve_raw(nobody) as port:
        yield port


@asynccontextmanager
async def silent_port() -> AsyncIterator[int]:
    async def nothing(request: bytes, writer: asyncio.StreamWriter) -> None:
        return

    async with serve_raw(nothing) as port:
        yield port


async def test_a_network_of_one_house(library: ProfileLibrary) -> None:
    steps: list[tuple[int, int]] = []
    told: list[FoundDevice] = []
    progress = Progress(on_step=lambda done, of, _: steps.append((done, of)), on_found=told.append)
    async with serve(holding_of(DEYE)) as deye, serve(holding_of(KACO), unit=3) as kaco:
        scanner = Scanner(library, timeout_s=0.5, ports=(deye, kaco, 1), progress=progress)
        found = await scanner.network("127.0.0.1/32", units=(1, 3))
    by_url = {device.url: device for device in found}
    assert set(by_url) == {f"tcp://127.0.0.1:{deye}", f"tcp://127.0.0.1:{kaco}"}
    hybrid, inverter = by_url[f"tcp://127.0.0.1:{deye}"], by_url[f"tcp://127.0.0.1:{kaco}"]
    assert (hybrid.unit, hybrid.profile) == (1, "deye_1p_hybrid")
    assert (inverter.unit, inverter.profile) == (3, "sunspec")
    assert inverter.identity == {
        "manufacturer": "KACO new energy",
        "model": "blueplanet 8.6 TL3 INT",
        "version": "V5.53",
        "serial_number": "8.6TL00000000",
    }
    assert sorted(told, key=lambda device: device.url) == sorted(found, key=lambda device: device.url)
    assert [done for done, _ in steps] == list(range(1, len(steps) + 1))
    assert all(done <= of for done, of in steps)
    assert steps[-1] == (7, 7)


async def test_a_gateway_with_nobody_behind_and_a_silent_port_are_open_ports_without_units(
    library: ProfileLibrary,
) -> None:
    async with gateway_without_units() as gateway, silent_port() as silent:
        scanner = Scanner(library, timeout_s=0.1, ports=(gateway, silent))
        found = await scanner.network("127.0.0.1", units=(1, 2))
    assert [(device.unit, device.profile, "no likely unit" in device.note) for device in found] == [
        (None, None, True)
    ] * 2


async def test_a_unit_that_answers_but_fits_nothing_is_found_without_a_profile(library: ProfileLibrary) -> None:
    async with serve({60_000: 1}, unit=9) as port:
        scanner = Scanner(library, timeout_s=0.5)
        found = [device async for device in scanner.units(f"tcp://127.0.0.1:{port}", [9])]
    assert [(device.unit, device.profile, device.profiles) for device in found] == [(9, None, ())]


async def test_a_platform_without_identity_registers_is_found_by_its_numbers(library: ProfileLibrary) -> None:
    async with serve(holding_of("goodwe_et_GW10K_ET_Test"), unit=247) as port:
        scanner = Scanner(library, timeout_s=0.5)
        (found,) = [device async for device in scanner.units(f"tcp://127.0.0.1:{port}", [1, 247])]
    assert (found.unit, found.profile, found.note) == (247, "goodwe_et", "")


async def test_a_unit_that_falls_silent_is_found_with_a_note(library: ProfileLibrary) -> None:
    async def only_once(request: bytes, writer: asyncio.StreamWriter) -> None:
        if int.from_bytes(request[8:10], "big") in {0, 50_000, 40_000}:
            writer.write(exception(request, 2))

    async with serve_raw(only_once) as port:
        (found,) = [device async for device in Scanner(library, timeout_s=0.1).units(f"tcp://127.0.0.1:{port}", [1])]
    assert (found.unit, found.profile) == (1, None)
    assert "silent" in found.note or "not reliably" in found.note


async def test_the_command_prints_one_object() -> None:
    async with serve(holding_of(KACO)) as port:
        ended = await solarhub_edge(
            *("device", "scan", "--network", "127.0.0.1/32", "--port", str(port), "--unit", "1", "--json")
        )
    assert (ended.code, ended.err) == (0, "")
    (found,) = ended.document["found"]
    assert (found["url"], found["unit"], found["profile"]) == (f"tcp://127.0.0.1:{port}", 1, "sunspec")
    assert found["identity"]["manufacturer"] == "KACO new energy"
    assert ended.document["asked"] == 2


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        ([], 2, "--serial PORT"),
        (["--serial", "/dev/x", "--network", "10.0.0.0/24"], 2, "either"),
        (["--network", "8.8.8.0/24"], 2, "--force"),
        (["--network", "10.0.0.0/8"], 2, "/22"),
    ],
)
async def test_a_wrong_scan_is_refused_before_anything_is_asked(arguments: list[str], code: int, word: str) -> None:
    ended = await solarhub_edge("device", "scan", "--json", *arguments)
    assert (ended.code, ended.out) == (code, "")
    assert word in ended.error


async def test_finding_nothing_is_a_failure_with_an_empty_list() -> None:
    async with silent_port() as port:
        pass
    ended = await solarhub_edge("device", "scan", "--network", "127.0.0.1", "--port", str(port), "--json")
    assert ended.code == 1
    assert json.loads(ended.out)["found"] == []
