"""Every unit is asked, none twice, the likely ones first; nobody else's network is looked at."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.installer.endings import UsageError
from edge_agent.installer.scan_plan import (
    FIRST_UNITS,
    LAST_UNIT,
    MOST_ADDRESSES,
    PARITIES,
    RATES,
    SerialStep,
    full_steps,
    hosts_of,
    likely_units,
    quick_steps,
)
from edge_agent.profiles.load import ProfileLibrary

likely_sets = st.sets(st.integers(1, LAST_UNIT), min_size=1, max_size=12).map(lambda units: tuple(sorted(units)))
settings = st.lists(st.builds(SerialStep, st.sampled_from(RATES), st.sampled_from(PARITIES), st.just((1,))), max_size=5)


@given(likely_sets)
def test_the_quick_pass_asks_the_likely_units_at_every_setting_once(likely: tuple[int, ...]) -> None:
    steps = list(quick_steps(likely))
    assert len({(step.baud_rate, step.parity) for step in steps}) == len(steps) == len(RATES) * len(PARITIES)
    assert {step.units for step in steps} == {likely}
    assert (steps[0].baud_rate, steps[0].parity) == (9600, "N")


@given(likely_sets, settings)
def test_the_full_pass_asks_all_others_where_something_was_heard(
    likely: tuple[int, ...], heard: list[SerialStep]
) -> None:
    steps = list(full_steps(likely, heard=heard))
    asked = [(step.baud_rate, step.parity) for step in steps]
    assert len(set(asked)) == len(asked)
    assert set(asked) == ({(step.baud_rate, step.parity) for step in heard} or {(rate, "N") for rate in RATES})
    for step in steps:
        assert sorted((*step.units, *likely)) == list(range(1, LAST_UNIT + 1))


def test_units_of_the_profiles_are_likely() -> None:
    library = ProfileLibrary()
    profiles = [library.modbus(name) for name in library.modbus_names()]
    likely = likely_units(profiles)
    assert likely[: len(FIRST_UNITS)] == FIRST_UNITS
    assert len(set(likely)) == len(likely)
    usual = {profile.connection.default_unit for profile in profiles} - {None, 0}
    assert usual <= set(likely)
    assert 247 in usual
    assert 0 not in likely


@given(st.ip_addresses(v=4, network="10.0.0.0/8"), st.integers(22, 32))
def test_every_host_of_a_private_network_once(address: object, prefix: int) -> None:
    hosts = hosts_of(f"{address}/{prefix}")
    network = ip_network(f"{address}/{prefix}", strict=False)
    assert len(set(hosts)) == len(hosts) == (network.num_addresses - 2 if prefix < 31 else network.num_addresses)
    assert all(ip_address(host) in network for host in hosts)
    assert len(hosts) <= MOST_ADDRESSES


@given(st.ip_addresses(v=4).filter(lambda address: address.is_global))
def test_a_public_network_only_by_force(address: object) -> None:
    with pytest.raises(UsageError, match="--force"):
        hosts_of(f"{address}/32")
    assert hosts_of(f"{address}/32", force=True) == (str(address),)


@pytest.mark.parametrize(
    ("cidr", "words"),
    [
        ("10.0.0.0/21", ["2048", "/22"]),
        ("fd00::/64", ["/22"]),
        ("0.0.0.0/0", ["/22"]),
        ("10.0.0/24", ["10.0.0/24", "192.168.1.0/24"]),
        ("roof", ["roof"]),
    ],
)
def test_what_is_too_large_or_no_network_is_refused(cidr: str, words: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        hosts_of(cidr, force=True)
    assert [word for word in words if word not in str(caught.value)] == []
