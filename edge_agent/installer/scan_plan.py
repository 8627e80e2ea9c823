"""Where to look for devices, and in which order. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network

from edge_agent.installer.endings import UsageError
from edge_agent.profiles.model import Profile

MODBUS_PORTS = (502, 1502)
SOLARMAN_PORT = 8899
PORTS = (*MODBUS_PORTS, SOLARMAN_PORT)

RATES = (9600, 19200, 38400, 115200, 4800, 2400)
"""bit/s, those of most devices first."""
PARITIES = ("N", "E")

FIRST_UNITS = (1, 2, 3)
"""Where installers put devices, before any profile is asked."""
LAST_UNIT = 247

MOST_ADDRESSES = 1024
"""A /22: more is no site's network, and would take minutes to go through."""


@dataclass(frozen=True, slots=True)
class SerialStep:
    """One setting of a serial line and the units that are asked with it."""

    baud_rate: int
    parity: str
    units: tuple[int, ...]

    @property
    def query(self) -> str:
        """As the options of an rtu:// address."""
        return f"baud={self.baud_rate}&parity={self.parity}"


def likely_units(profiles: Iterable[Profile]) -> tuple[int, ...]:
    """Units worth asking first: where installers put devices, then where makers ship them."""
    usual = {profile.connection.default_unit for profile in profiles} - {None, *FIRST_UNITS}
    return (*FIRST_UNITS, *sorted(unit for unit in usual if unit))


def all_units(*, but: Iterable[int] = ()) -> tuple[int, ...]:
    """1 to 247 without those that were asked already."""
    asked = set(but)
    return tuple(unit for unit in range(1, LAST_UNIT + 1) if unit not in asked)


def quick_steps(likely: tuple[int, ...], *, rates: tuple[int, ...] = RATES) -> Iterator[SerialStep]:
    """Every rate without parity, then with even parity, each with the likely units."""
    for parity in PARITIES:
        for rate in rates:
            yield SerialStep(rate, parity, likely)


def full_steps(
    likely: tuple[int, ...], *, heard: Iterable[SerialStep], rates: tuple[int, ...] = RATES
) -> Iterator[SerialStep]:
    """All other units: with the settings at which something answered; where nothing did, with every rate."""
    settings = list(dict.fromkeys((step.baud_rate, step.parity) for step in heard))
    for rate, parity in settings or [(rate, PARITIES[0]) for rate in rates]:
        yield SerialStep(rate, parity, all_units(but=likely))


def hosts_of(cidr: str, *, force: bool = False) -> tuple[str, ...]:
    """Every host of a network.

    Args:
        cidr: such as 192.168.1.0/24; a single address is a network of one.
        force: also for networks that are not private; the owner of the addresses must have agreed.

    Raises:
        UsageError: if it is no network, too large, or not private.
    """
    try:
        network: IPv4Network | IPv6Network = ip_network(cidr, strict=False)
    except ValueError as error:
        raise UsageError(f"network = {cidr!r}: {error}; write it like 192.168.1.0/24") from error
    if network.num_addresses > MOST_ADDRESSES:
        raise UsageError(
            f"network = {cidr!r} has {network.num_addresses} addresses; scan a /22 at most, such as 192.168.1.0/24"
        )
    if not (network.is_private or network.is_loopback or network.is_link_local) and not force:
        raise UsageError(
            f"network = {cidr!r} is not private; name the site's own network, or add --force if its owner has agreed"
        )
    return tuple(str(host) for host in network.hosts()) or (str(network.network_address),)
