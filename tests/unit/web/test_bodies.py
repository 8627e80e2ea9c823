"""A compressed body unpacks to what was packed, or is refused for what it is."""

import gzip

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from cloud.core.errors import TooLargeError, ValidationFailedError
from cloud.web.bodies import gunzip, unzstd


@given(st.binary(max_size=4_000))
def test_what_was_packed_comes_back(body: bytes) -> None:
    assert gunzip(gzip.compress(body), limit=4_000) == body


def test_the_limit_is_of_the_unpacked_body() -> None:
    packed = gzip.compress(b"0" * 1_001)
    assert gunzip(packed, limit=1_001) == b"0" * 1_001
    with pytest.raises(TooLargeError, match="1000 bytes"):
        gunzip(packed, limit=1_000)


def test_a_bomb_is_given_up_early() -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    with pytest.raises(TooLargeError):
        gunzip(bomb, limit=10_000)


@pytest.mark.parametrize(
    "damaged",
    [b"", b"not gzip", gzip.compress(b"x" * 100)[:-1], gzip.compress(b"x")[:12], gzip.compress(b"one") + b"more"],
    ids=[
        "nothing",
        "other bytes",
        "without its end",
        "without its middle",
        "with a tail",
    ],  # gzip's header has the time
)
def test_a_damaged_stream_is_told_so(damaged: bytes) -> None:
    with pytest.raises(ValidationFailedError, match="complete gzip stream"):
        gunzip(damaged, limit=1_000)


def zstd(body: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(body)


@given(st.binary(max_size=4_000))
def test_what_zstd_packed_comes_back(body: bytes) -> None:
    assert unzstd(zstd(body), limit=4_000) == body


def test_the_limit_of_a_zstd_body_is_of_the_unpacked_one() -> None:
    packed = zstd(b"0" * 1_001)
    assert unzstd(packed, limit=1_001) == b"0" * 1_001
    with pytest.raises(TooLargeError, match="1000 bytes"):
        unzstd(packed, limit=1_000)


def test_a_zstd_bomb_is_given_up_early() -> None:
    bomb = zstd(b"\0" * 50_000_000)
    with pytest.raises(TooLargeError):
        unzstd(bomb, limit=10_000)


def test_a_zstd_frame_may_not_ask_for_much_memory() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=27)
    greedy = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    packed = greedy.compress(b"x" * 1_000) + greedy.flush()
    with pytest.raises(ValidationFailedError, match="complete zstd stream"):
        unzstd(packed, limit=10_000)


@pytest.mark.parametrize(
    "damaged",
    [b"", b"not zstd", zstd(b"x" * 100)[:-1], zstd(b"one") + b"more", zstd(b"y" * 500) + b"z" * 100],
    ids=["nothing", "other bytes", "without its end", "with a tail", "with a long tail"],
)
def test_a_damaged_zstd_frame_is_told_so(damaged: bytes) -> None:
    with pytest.raises(ValidationFailedError, match="complete zstd stream"):
        unzstd(damaged, limit=1_000)
