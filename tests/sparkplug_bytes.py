"""Sparkplug B payloads written byte by byte from the protobuf encoding, apart from the decoder's own code."""

import struct


def varint(number: int) -> bytes:
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def _int(field: int, number: int) -> bytes:
    return varint(field << 3) + varint(number)


def _bytes(field: int, content: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(content)) + content


def metric(
    name: str = "",
    *,
    alias: int | None = None,
    datatype: int | None = None,
    integer: int | None = None,
    long: int | None = None,
    single: float | None = None,
    double: float | None = None,
    text: str | None = None,
    flag: bool | None = None,
    is_null: bool = False,
    is_historical: bool = False,
) -> bytes:
    out = _bytes(1, name.encode()) if name else b""
    out += _int(2, alias) if alias is not None else b""
    out += _int(3, 1_790_000_000_000)
    out += _int(4, datatype) if datatype is not None else b""
    out += _int(5, 1) if is_historical else b""
    out += _int(7, 1) if is_null else b""
    out += _bytes(9, _bytes(1, b"engUnit"))  # properties, which nobody here reads
    out += _int(10, integer) if integer is not None else b""
    out += _int(11, long) if long is not None else b""
    out += varint(12 << 3 | 5) + struct.pack("<f", single) if single is not None else b""
    out += varint(13 << 3 | 1) + struct.pack("<d", double) if double is not None else b""
    out += _int(14, int(flag)) if flag is not None else b""
    return out + (_bytes(15, text.encode()) if text is not None else b"")


def payload(*metrics: bytes, seq: int | None = 0) -> bytes:
    out = _int(1, 1_790_000_000_000) + b"".join(_bytes(2, content) for content in metrics)
    return out + (_int(3, seq) if seq is not None else b"")
