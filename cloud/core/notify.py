"""Tells systemd that the process is ready (`Type=notify`)."""

import os
import socket


def notify_systemd(message: str) -> bool:
    """Send `READY=1`, `STOPPING=1` … to the socket that systemd named; False where nobody asked for it."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return False
    if address.startswith("@"):  # a name in the abstract namespace
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        sender.sendto(message.encode(), address)
    return True
