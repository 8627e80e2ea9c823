"""What must hold in a profile beyond the shape of its parts; run on every load, so that a wrong file is refused, not read."""

from collections.abc import Iterator
from itertools import combinations

from edge_agent.profiles.lint_bus import bus_findings
from edge_agent.profiles.lint_derived import derived_findings
from edge_agent.profiles.model import Control, Profile, Row

_DIRECTED = frozenset({"grid_power_kw", "battery_power_kw", "battery_current_a"})
"""Metrics whose sign the catalogue fixes and vendors do not agree on."""

_POWERS = frozenset({"kW", "kVA", "kvar"})


def lint(profile: Profile) -> list[str]:
    """All findings, each with the row, the value and the way out; empty for a sound profile."""
    return [
        *_double_keys(profile),
        *_overlaps(profile),
        *_missing_signs(profile),
        *bus_findings(profile),
        *_unsound_ranges(profile),
        *derived_findings(profile),
        *_unsound_controls(profile),
    ]


def _name(row: Row) -> str:
    return f"row {row.key} at {row.first}"


def _double_keys(profile: Profile) -> Iterator[str]:
    for device_type in profile.device_types:
        by_key: dict[str, list[Row]] = {}
        for row in profile.rows_for(device_type):
            by_key.setdefault(row.key, []).append(row)
        for key, rows in by_key.items():
            clash = next((pair for pair in combinations(rows, 2) if not pair[0].excludes(pair[1])), None)
            if clash is None:
                continue
            conditional = any(row.when for row in clash)
            way_out = "give them conditions that exclude each other" if conditional else "keep one"
            where = f" (at {clash[0].first} and {clash[1].first})" if conditional else ""
            yield f"{key} is given {len(rows)} times for {device_type.value}{where}; {way_out}"
        yield from _double_derived(profile, device_type.value, keys=set(by_key))


def _double_derived(profile: Profile, device_type: str, *, keys: set[str]) -> Iterator[str]:
    seen = set(keys)
    for derived in profile.derived:
        if device_type not in derived.read_for or derived.only_if_missing:
            continue
        if derived.metric in seen:
            yield f"{derived.metric} is given 2 times for {device_type}; keep one, or write only_if_missing = true"
        seen.add(derived.metric)


def _overlaps(profile: Profile) -> Iterator[str]:
    for one, other in combinations(profile.rows, 2):
        shared = set(one.words) & set(other.words) if one.function is other.function else set()
        if not shared or one.excludes(other):
            continue
        same = (one.words, one.type) == (other.words, other.type)
        if not same and not (one.type.is_byte and other.type.is_byte):
            yield f"{_name(one)} and {_name(other)} share register {min(shared)}; two rows may only share all their words"


def _missing_signs(profile: Profile) -> Iterator[str]:
    for row in profile.rows:
        if row.metric and row.catalogue.name in _DIRECTED and row.sign is None and row.sign_from is None:
            yield f"{_name(row)} has no sign; write sign = 1 or -1, so that + is import or discharging, or sign_from"


def _unsound_ranges(profile: Profile) -> Iterator[str]:
    for row in profile.rows:
        if row.range is not None:
            yield from _unsound_range(row, *row.range)
        if row.range_of_rated is None:
            continue
        low, high = row.range_of_rated
        if low >= high:
            yield f"{_name(row)} has range_of_rated {low}..{high}; write the lower bound first"
        if not row.is_numeric or row.kept_unit not in _POWERS:
            yield f"{_name(row)} has range_of_rated, which is for powers; write range"


def _unsound_range(row: Row, low: float, high: float) -> Iterator[str]:
    if low >= high:
        yield f"{_name(row)} has range {low}..{high}; write the lower bound first"
    elif row.metric and not (row.catalogue.is_sane(low) and row.catalogue.is_sane(high)):
        yield f"{_name(row)} has range {low}..{high}, wider than the catalogue's {row.catalogue.low}..{row.catalogue.high}"


def _unsound_controls(profile: Profile) -> Iterator[str]:
    for one, other in combinations(profile.controls, 2):
        if one.name == other.name and set(one.read_for) & set(other.read_for):
            yield f"control {one.name} is given twice, at {one.address} and {other.address}; keep one"
    for control in profile.controls:
        if control.range is None:
            yield f"control {control.name} at {control.address} has no range; write the lowest and highest number that may be set"
        else:
            yield from _unsound_control_range(control, *control.range)


def _unsound_control_range(control: Control, low: float, high: float) -> Iterator[str]:
    if low >= high:
        yield f"control {control.name} has range {low}..{high}; write the lower bound first"
    lowest, highest = control.raw_limits
    for bound in (low, high):
        raw = bound / float(control.scale)
        if not lowest <= raw <= highest:
            yield f"control {control.name}: {bound:g} {control.unit} is raw {raw:g}, which {control.type.value} cannot hold; narrow range"
