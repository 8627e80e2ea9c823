"""Whether everything that a profile computes has what it needs, in units that fit, and nothing is read for no use."""

from collections.abc import Iterator

from edge_agent.profiles.model import Derived, Profile
from shared.enums import DeviceType
from shared.errors import SolarHubError
from shared.metrics import MetricKind, metric_of


def derived_findings(profile: Profile) -> Iterator[str]:
    """All findings about derived values and terms, each with the name, the value and the way out."""
    for position, derived in enumerate(profile.derived):
        try:
            target = metric_of(derived.metric)
        except SolarHubError as error:
            yield f"derived {derived.metric}: {error}"
            continue
        if target.kind is MetricKind.STATE:
            yield f"derived {derived.metric} is a state; only numbers are computed"
        for device_type in derived.read_for:
            if device_type not in target.device_types:
                yield f"derived {derived.metric}: no such metric for {device_type.value}"
            units = _units(profile, device_type, before=position)
            yield from _unsound_terms(derived, device_type, units=units, unit=target.unit)
    yield from _idle_terms(profile)


def _units(profile: Profile, device_type: DeviceType, *, before: int) -> dict[str, str]:
    """Unit of every number of a device that a derived value at this position may use."""
    units = {row.key: row.kept_unit for row in profile.rows_for(device_type) if row.is_numeric}
    for derived in profile.derived[:before]:
        if device_type in derived.read_for:
            units.setdefault(derived.metric, _unit_of(derived.metric))
    return units


def _unit_of(metric: str) -> str:
    try:
        return metric_of(metric).unit
    except SolarHubError:
        return ""  # reported where the derived value itself is looked at


def _unsound_terms(derived: Derived, device_type: DeviceType, *, units: dict[str, str], unit: str) -> Iterator[str]:
    for term in derived.terms:
        if term not in units:
            yield f"derived {derived.metric}: {term} has no row for {device_type.value}; add one or leave the term out"
        elif not derived.product and units[term] != unit:
            yield f"derived {derived.metric}: {term} is not in {unit}; a sum has one unit"


def _idle_terms(profile: Profile) -> Iterator[str]:
    for row in profile.rows:
        if not row.term:
            continue
        users = [derived for derived in profile.derived if row.term in derived.terms]
        for device_type in row.read_for:
            if not any(device_type in derived.read_for for derived in users):
                yield f"term {row.term} at {row.first} is used by no derived value of {device_type.value}; use it or drop the row"
