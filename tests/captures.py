"""Recorded register images and what other software reads from them."""

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "profiles" / "captures"


def holding_of(name: str) -> dict[int, int]:
    """Holding registers of `<name>.dump.json`."""
    dump = json.loads((FOLDER / f"{name}.dump.json").read_text())
    return {int(address): word for address, word in dump["holding"].items()}


def expected_of(name: str) -> dict[str, Any]:
    """`<name>.json`, whole."""
    return dict(json.loads((FOLDER / f"{name}.json").read_text()))
