"""Compressed request bodies, unpacked up to a limit."""

import zlib

from starlette.requests import Request

from cloud.core.errors import CloudError, TooLargeError, ValidationFailedError

_GZIP = zlib.MAX_WBITS | 16


class UnsupportedEncodingError(CloudError):
    """The body is compressed in a way that this service does not read; send it plain or with Content-Encoding: gzip."""

    status = 415
    code = "encoding_unsupported"
    title = "Unsupported encoding"


async def unpacked_body(request: Request, *, limit: int) -> bytes:
    """Read a body that may be gzip-compressed.

    Args:
        request: its `Content-Encoding` is absent, `identity` or `gzip`.
        limit: bytes after unpacking; a bomb is given up as soon as it has grown beyond.

    Raises:
        TooLargeError: beyond the limit.
        UnsupportedEncodingError: for another encoding.
        ValidationFailedError: if it is no gzip stream, or ends too early.
    """
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    body = await request.body()
    if encoding == "gzip":
        body = gunzip(body, limit=limit)
    elif encoding != "identity":
        raise UnsupportedEncodingError(headers={"Accept-Encoding": "gzip"})
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
        raise _damaged() from None
    if len(body) > limit:
        raise _too_large(limit)
    if not unpacker.eof or unpacker.unused_data:
        raise _damaged()
    return body


def _too_large(limit: int) -> TooLargeError:
    return TooLargeError(
        f"The body unpacks to more than {limit} bytes; send less at once.", extra={"limit_bytes": limit}
    )


def _damaged() -> ValidationFailedError:
    return ValidationFailedError(
        "The body is not one complete gzip stream; send it again.",
        errors=[{"field": "body", "message": "Content-Encoding says gzip, the content does not unpack"}],
    )
