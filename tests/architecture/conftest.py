"""The source, parsed once for all tests."""

from pathlib import Path

import pytest

from tests.architecture.source import PACKAGES, ROOT, Module, parse


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def modules() -> list[Module]:
    """Every module of the product."""
    found = [parse(path) for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    assert len(found) > 20, "the source was not found"
    return found
