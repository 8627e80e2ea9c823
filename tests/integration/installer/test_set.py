"""`device set` against somebody else's Modbus server: what the profile allows is written and read back, everything else refused."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from pyModbusTCP.server import DataBank, ModbusServer

from tests.integration.installer.command import Ended, solarhub_edge
from tests.sunspec_image import image, model_words

BASE = 40_000


def held() -> dict[int, int]:
    limit = model_words(
        123,
        {"WMaxLimPct": Decimal(100), "WMaxLim_Ena": Decimal(0), "WMaxLimPct_RvrtTms": Decimal(0)},
        scales={"WMaxLimPct_SF": -1},
    )
    return image(model_words(1, {"Mn": "Maker"}), model_words(103, {"W": Decimal(4000)}), limit, base=BASE)


@pytest.fixture
def inverter() -> Iterator[tuple[str, DataBank]]:
    bank = DataBank()
    words = held()
    bank.set_holding_registers(min(words), [words.get(place, 0) for place in range(min(words), max(words) + 1)])
    server = ModbusServer("127.0.0.1", 0, no_block=True, data_bank=bank)
    server.start()
    yield f"tcp://127.0.0.1:{server._service.server_address[1]}", bank
    server.stop()


async def ask(url: str, folder: Path, *more: str) -> Ended:
    settings = folder / "edge.toml"
    settings.write_text(f'data_dir = "{folder / "data"}"')
    return await solarhub_edge(
        "device", "set", "--url", url, "--profile", "sunspec", "--config", settings, "--json", *more
    )


async def test_a_limit_is_written_read_back_and_not_written_twice(
    inverter: tuple[str, DataBank], tmp_path: Path
) -> None:
    url, _ = inverter
    limit = ("--control", "active_power_limit_percent", "--reversion-s", "120")
    told = {"control": limit[1], "value": 59.5, "before": 100, "changed": True, "reverts_after_s": 120}
    assert (await ask(url, tmp_path, *limit, "--to", "59.5")).document == told
    again = told | {"before": 59.5, "changed": False}
    assert (await ask(url, tmp_path, *limit, "--to", "59.5")).document == again


@pytest.mark.parametrize(
    ("control", "to", "code", "words"),
    [
        ("active_power_limit_percent", "130", 1, "between 0 and 100"),
        ("active_power_limit_percent", "59.55", 1, "send 59.5 or 59.6"),
        ("export_limit_w", "0", 1, "only told active_power_limit_percent"),
        ("active_power_limit_percent", "half", 2, "no number"),
    ],
)
async def test_what_must_not_be_written_is_refused_in_words(
    inverter: tuple[str, DataBank], tmp_path: Path, control: str, to: str, code: int, words: str
) -> None:
    url, bank = inverter
    before = bank.get_holding_registers(BASE, 200)
    ended = await ask(url, tmp_path, "--control", control, "--to", to)
    assert ended.code == code
    assert words in ended.error
    assert bank.get_holding_registers(BASE, 200) == before
