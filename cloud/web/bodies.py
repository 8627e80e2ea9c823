"""Compressed request bodies, unpacked up to a limit."""

import zlib
from typing import Protocol

import zstandard
from starlette.requests import Request

from cloud.core.errors import CloudError, TooLargeError, ValidationFailedError

_GZIP = zlib.MAX_WBITS | 16
_ZSTD_WINDOW_BYTES = 2**23
"""What every decoder must be able to keep (RFC 8878); a larger one would be memory at a stranger's wish."""
_ZSTD_BITE = 64
"""Bytes unpacked at a time: a block of four bytes may become 128 KiB, and there is no other way to stop early."""


class UnsupportedEncodingError(CloudError):
    """The body is compressed in a way that this service does not read; send it plain or with Content-Encoding: gzip or zstd."""

    status = 415
    code = "encoding_unsupported"
    title = "Unsupported encoding"


async def unpacked_body(request: Request, *, limit: int) -> bytes:
    """Read a body that may be gzip-compressed.

    Args:
        request: its `Content-Encoding` is absent, `identity`, `gzip` or `zstd`.
        limit: bytes after unpacking; a bomb is given up as soon as it has grown beyond.

    Raises:
        TooLargeError: beyond the limit.
        UnsupportedEncodingError: for another encoding.
        ValidationFailedError: if it is no such stream, or ends too early.
    """
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    body = await request.body()
    if encoding == "gzip":
        body = gunzip(body, limit=limit)
    elif encoding == "zstd":
        body = unzstd(body, limit=limit)
    elif encoding != "identity":
        raise UnsupportedEncodingError(headers={"Accept-Encoding": "gzip, zstd"})
    if len(body) > limit:
        raise _too_large(limit)
    return body


def gunzip(packed: bytes, *, limit: int) -> bytes:
    """Unpack one gzip stream of at most `limit` bytes.

    Raises:
        TooLargeError: if it holds more.
        ValidationFailedError: if it is damaged or incomplete.
    """
    unpacker = zlib.decompressobj(_GZIP)
    try:
        body = unpacker.decompress(packed, limit + 1)
    except zlib.error:
        raise _damaged("gzip") from None
    return _whole(body, unpacker, "gzip", limit=limit)


def unzstd(packed: bytes, *, limit: int) -> bytes:
    """Unpack one zstd frame of at most `limit` bytes.

    Raises:
        TooLargeError: if it holds more.
        ValidationFailedError: if it is damaged or incomplete.
    """
    unpacker = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES).decompressobj()
    body = bytearray()
    try:
        for start in range(0, len(packed), _ZSTD_BITE):
            if unpacker.eof:
                raise _damaged("zstd")  # something stands behind the frame
            body += unpacker.decompress(packed[start : start + _ZSTD_BITE])
            if len(body) > limit:
                break
    except zstandard.ZstdError:
        raise _damaged("zstd") from None
    return _whole(bytes(body), unpacker, "zstd", limit=limit)


class _Unpacker(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...


def _whole(body: bytes, unpacker: _Unpacker, encoding: str, *, limit: int) -> bytes:
    if len(body) > limit:
        raise _too_large(limit)
    if not unpacker.eof or unpacker.unused_data:
        raise _damaged(encoding)
    return body


def _too_large(limit: int) -> TooLargeError:
    return TooLargeError(
        f"The body unpacks to more than {limit} bytes; send less at once.", extra={"limit_bytes": limit}
    )


def _damaged(encoding: str) -> ValidationFailedError:
    return ValidationFailedError(
        f"The body is not one complete {encoding} stream; send it again.",
        errors=[{"field": "body", "message": f"Content-Encoding says {encoding}, the content does not unpack"}],
    )
