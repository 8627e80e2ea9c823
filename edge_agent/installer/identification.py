"""Who a device says it is: Modbus function 43/14, "read device identification", basic objects.

Source: MODBUS Application Protocol Specification V1.1b3, section 6.21. Few devices know it, so what does not answer is simply not named.
"""

import asyncio
from typing import Literal

from edge_agent.drivers.base import DriverError
from edge_agent.drivers.line import Line, TcpLine
from edge_agent.drivers.modbus_frame import crc16, with_crc
from edge_agent.drivers.serial_line import SerialLine, SerialSettings
from edge_agent.installer.address import DeviceAddress
from shared.enums import ProtocolType

Framing = Literal["tcp", "rtu"]

_FUNCTION, _INTERFACE = 0x2B, 0x0E
_REQUEST = bytes((_FUNCTION, _INTERFACE, 0x01, 0x00))
"""Basic objects, from the first."""
_OBJECTS = {0: "manufacturer", 1: "model", 2: "version"}
_HEAD_BYTES = 7  # function, interface, code, conformity, more follows, next object, number of objects
_MBAP_BYTES = 7
_MOST_BYTES = 260
_TRANSACTION = 0x5348


def request_of(unit: int, *, framing: Framing) -> bytes:
    """The frame that asks one unit."""
    if framing == "rtu":
        return with_crc(bytes((unit,)) + _REQUEST)
    length = len(_REQUEST) + 1
    return _TRANSACTION.to_bytes(2, "big") + bytes(2) + length.to_bytes(2, "big") + bytes((unit,)) + _REQUEST


def identity_in(buffer: bytes, unit: int, *, framing: Framing) -> dict[str, str] | None:
    """What a whole answer says; None as long as it is not whole, or is none.

    Args:
        buffer: everything that came since the request.
        unit: that was asked.
        framing: of the line.
    """
    if framing == "tcp":
        head = _TRANSACTION.to_bytes(2, "big") + bytes(2)
        if len(buffer) < _MBAP_BYTES or buffer[:4] != head or buffer[6] != unit:
            return None
        found = _objects(buffer[_MBAP_BYTES:])
        return None if found is None else found[0]
    if not buffer or buffer[0] != unit:
        return None
    found = _objects(buffer[1:])
    if found is None or len(buffer) < 1 + found[1] + 2 or crc16(buffer[: 1 + found[1] + 2]):
        return None
    return found[0]


def _objects(pdu: bytes) -> tuple[dict[str, str], int] | None:
    """Texts by name and the length of the answer; None where it is not whole."""
    if len(pdu) < _HEAD_BYTES or pdu[:2] != _REQUEST[:2]:
        return None
    texts: dict[str, str] = {}
    place = _HEAD_BYTES
    for _ in range(pdu[_HEAD_BYTES - 1]):
        if len(pdu) < place + 2 or len(pdu) < place + 2 + pdu[place + 1]:
            return None
        number, length = pdu[place], pdu[place + 1]
        text = pdu[place + 2 : place + 2 + length].split(b"\0", 1)[0].decode("latin-1").strip()
        if number in _OBJECTS and text:
            texts[_OBJECTS[number]] = text
        place += 2 + length
    return texts, place


async def ask_identity(address: DeviceAddress, unit: int, *, timeout_s: float) -> dict[str, str]:
    """Ask one unit; empty where it does not know the function, does not answer, or cannot be asked over this address.

    Nobody else may use the line meanwhile.
    """
    line = _line_of(address)
    if line is None:
        return {}
    is_rtu = address.protocol is ProtocolType.MODBUS_RTU or address.connection.get("framer") == "rtu"
    framing: Framing = "rtu" if is_rtu else "tcp"
    heard = bytearray()
    found: asyncio.Future[dict[str, str]] = asyncio.get_running_loop().create_future()

    def hear(data: bytes) -> None:
        heard.extend(data[: _MOST_BYTES - len(heard)])
        said = identity_in(bytes(heard), unit, framing=framing)
        if said is not None and not found.done():
            found.set_result(said)

    line.on_bytes = hear
    try:
        await line.open(timeout_s=timeout_s)
        line.write(request_of(unit, framing=framing))
        async with asyncio.timeout(timeout_s):
            return await found
    except (DriverError, OSError, TimeoutError):
        return {}  # most devices do not know the function, and are known by other means
    finally:
        line.close()


def _line_of(address: DeviceAddress) -> Line | None:
    connection = address.connection
    if address.protocol is ProtocolType.MODBUS_TCP:
        return TcpLine(connection["host"], connection["port"])
    if address.protocol is ProtocolType.MODBUS_RTU:
        settings = SerialSettings(
            connection["serial_port"],
            connection.get("baud_rate", 9600),
            connection.get("parity", "N"),
            connection.get("stop_bits", 1),
        )
        return SerialLine(settings)
    return None
