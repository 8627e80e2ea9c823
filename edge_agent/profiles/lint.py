"""What must hold in a profile beyond the shape of its parts; run on every load, so that a wrong file is refused, not read."""

from collections import Counter
from collections.abc import Iterator
from itertools import combinations

from edge_agent.profiles.model import Derived, Profile, Row
from shared.errors import SolarHubError
from shared.metrics import metric_of

_DIRECTED = frozenset({"grid_power_kw", "battery_power_kw", "battery_current_a"})
"""Metrics whose sign the catalogue fixes and vendors do not agree on."""


def lint(profile: Profile) -> list[str]:
    """All findings, each with the row, the value and the way out; empty for a sound profile."""
    return [
        *_double_keys(profile),
        *_overlaps(profile),
        *_missing_signs(profile),
        *_illegal_reads(profile),
        *_unsound_ranges(profile),
        *_unsound_sums(profile),
    ]


def _name(row: Row) -> str:
    return f"row {row.metric} at {row.first}"


def _double_keys(profile: Profile) -> Iterator[str]:
    for device_type in profile.device_types:
        keys = [row.metric for row in profile.rows_for(device_type)]
        keys += [derived.metric for derived in profile.derived_for(device_type)]
        for key, times in Counter(keys).items():
            if times > 1:
                yield f"{key} is given {times} times for {device_type.value}; keep one"


def _overlaps(profile: Profile) -> Iterator[str]:
    for one, other in combinations(profile.rows, 2):
        shared = set(one.words) & set(other.words) if one.function is other.function else set()
        if shared and (one.words, one.type) != (other.words, other.type):
            yield f"{_name(one)} and {_name(other)} share register {min(shared)}; two rows may only share all their words"


def _missing_signs(profile: Profile) -> Iterator[str]:
    for row in profile.rows:
        if row.catalogue.name in _DIRECTED and row.sign is None:
            yield f"{_name(row)} has no sign; write sign = 1 or -1, so that + is import or discharging"


def _illegal_reads(profile: Profile) -> Iterator[str]:
    bus = profile.bus
    for row in profile.rows:
        if row.extent > bus.max_registers:
            yield f"{_name(row)} needs {row.extent} registers in one request, more than bus.max_registers = {bus.max_registers}"
        for low, high in bus.forbidden:
            if row.first <= high and low <= row.first + row.extent - 1:
                yield f"{_name(row)} lies in bus.forbidden {low}..{high}; drop the row or narrow the range"
    for low, high in bus.forbidden:
        if low > high:
            yield f"bus.forbidden {low}..{high} is empty; write the lower address first"


def _unsound_ranges(profile: Profile) -> Iterator[str]:
    for row in profile.rows:
        if row.range is None:
            continue
        low, high = row.range
        if low >= high:
            yield f"{_name(row)} has range {low}..{high}; write the lower bound first"
        elif not (row.catalogue.is_sane(low) and row.catalogue.is_sane(high)):
            yield f"{_name(row)} has range {low}..{high}, wider than the catalogue's {row.catalogue.low}..{row.catalogue.high}"


def _unsound_sums(profile: Profile) -> Iterator[str]:
    for derived in profile.derived:
        try:
            target = metric_of(derived.metric)
        except SolarHubError as error:
            yield f"derived {derived.metric}: {error}"
            continue
        for device_type in derived.read_for:
            if device_type not in target.device_types:
                yield f"derived {derived.metric}: no such metric for {device_type.value}"
            yield from _missing_terms(profile, derived, target.unit)


def _missing_terms(profile: Profile, derived: Derived, unit: str) -> Iterator[str]:
    for device_type in derived.read_for:
        rows = {row.metric: row for row in profile.rows_for(device_type)}
        for term in derived.sum:
            if term not in rows:
                yield f"derived {derived.metric}: {term} has no row for {device_type.value}; add one or leave the term out"
            elif rows[term].catalogue.unit != unit or not rows[term].is_numeric:
                yield f"derived {derived.metric}: {term} is not in {unit}; a sum has one unit"
