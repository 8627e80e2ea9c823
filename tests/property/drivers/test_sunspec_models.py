"""Our decoding of SunSpec models against pysunspec2's, on random register images."""

import math
import random
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sunspec2 import device

from edge_agent.drivers.sunspec_models import (
    MAX_SCALE,
    NOT_IMPLEMENTED,
    DecodedGroup,
    DecodedModel,
    GroupDefinition,
    ModelDefinition,
    Point,
    PointDefinition,
    decode_model,
    definition_of,
    is_scaled_apart,
    known_ids,
    read_plan,
)
from edge_agent.profiles.model import MAX_REGISTERS_PER_REQUEST
from tests.sunspec_image import encode_point

IDS = sorted(known_ids())
ASKED_FOR = {
    *(1, 101, 102, 103, 111, 112, 113, 120, 121, 122, 123, 124, 160),
    *(201, 202, 203, 204, 211, 212, 213, 214),
    *range(302, 308),
    *range(701, 715),
    *(802, 803, 804, 805),
}
CURIOUS = (0, 1, 0x7FFF, 0x8000, 0xFFFF, 0x7FC0, 0x7F80, 0xFF80)
TEXTS = ("", "MPPT 1", "4711", "a" * 64)


def counts_of(group: GroupDefinition) -> set[str]:
    """Points that say how often a group comes."""
    own = {part.count for part in group.groups if isinstance(part.count, str)}
    return own.union(*(counts_of(part) for part in group.groups))


def a_point(point: PointDefinition, counts: Mapping[str, int], chance: random.Random) -> Sequence[int]:
    """Anything, but a count that fits, a text that is one, and a scale factor that mostly is one."""
    if point.name in counts:
        return encode_point(point, counts[point.name])
    if point.type == "string":
        return encode_point(point, chance.choice(TEXTS))
    if point.type == "sunssf":
        return [chance.choice([*range(-MAX_SCALE, MAX_SCALE + 1), 0x8000, 11, -30]) % 0x1_0000]
    if chance.random() < 0.2:
        return encode_point(point, None)
    if chance.random() < 0.2:
        return [chance.choice(CURIOUS) for _ in range(point.size)]
    return [chance.randrange(0x1_0000) for _ in range(point.size)]


def a_group(group: GroupDefinition, counts: Mapping[str, int], chance: random.Random) -> list[int]:
    words = [word for point in group.points for word in a_point(point, counts, chance)]
    for part in group.groups:
        times = counts[part.count] if isinstance(part.count, str) else chance.randint(1, 4) if part.count == 0 else 1
        for _ in range(times):
            words += a_group(part, counts, chance)
    return words


def an_image(seed: int) -> tuple[ModelDefinition, list[int]]:
    """A model and its registers."""
    chance = random.Random(seed)  # noqa: S311 - test data that is the same in every run
    definition = definition_of(IDS[seed % len(IDS)])
    counts = {name: chance.randint(1, 3) for name in sorted(counts_of(definition.group))}
    words = a_group(definition.group, counts, chance)
    return definition, [definition.id, len(words) - 2, *words[2:]]


def check(ours: Point, theirs: Any, exponent: Point, point: PointDefinition, name: str) -> None:
    if ours is None:
        unusable = isinstance(point.scale, str) and (exponent is None or abs(int(exponent)) > MAX_SCALE)
        unknown = theirs is None or theirs == "" or (isinstance(theirs, float) and not math.isfinite(theirs))
        assert unusable or unknown, f"{name}: they read {theirs!r}"
    elif isinstance(ours, str):
        assert ours == theirs.rstrip("\0").strip(), name
    else:
        assert theirs is not None, f"{name}: we read {ours}"
        if point.type == "float32":
            # We take a single as the shortest number that is this single, they as the double next to it.
            assert struct.pack(">f", float(ours)) == struct.pack(">f", theirs), name
        else:
            # They scale in binary, and round to the scale's decimal.
            assert math.isclose(float(ours), theirs, rel_tol=1e-12, abs_tol=0), f"{name}: {ours} is not {theirs}"


def compare(
    group: GroupDefinition, ours: DecodedModel | DecodedGroup, theirs: Any, factors: Mapping[str, Point], name: str
) -> int:
    """Compare every point of a group and of the groups in it; how many there were."""
    seen = 0
    for point in group.points:
        if point.type != "pad":
            exponent = factors.get(point.scale) if isinstance(point.scale, str) else None
            check(ours.points[point.name], theirs.points[point.name].cvalue, exponent, point, f"{name}.{point.name}")
            seen += 1
    for part in group.groups:
        others = theirs.groups[part.name]
        others = others if isinstance(others, list) else [others]
        assert len(ours.groups[part.name]) == len(others), f"{name}.{part.name}"
        for number, (own, other) in enumerate(zip(ours.groups[part.name], others, strict=True)):
            seen += compare(part, own, other, factors, f"{name}.{part.name}{number}")
    return seen


def compare_with_pysunspec2(seed: int) -> int:
    definition, words = an_image(seed)
    ours = decode_model(definition, words)
    data = b"".join(word.to_bytes(2, "big") for word in words)
    theirs = device.Model(definition.id, model_len=len(words) - 2, data=data)
    assert not theirs.error_info
    return compare(definition.group, ours, theirs, ours.points, str(definition.id))


@given(seed=st.integers(0, 2**32))
def test_every_point_is_what_pysunspec2_reads(seed: int) -> None:
    assert compare_with_pysunspec2(seed) >= 2


@pytest.mark.slow
def test_ten_thousand_images_are_read_as_pysunspec2_reads_them() -> None:
    assert sum(compare_with_pysunspec2(seed) for seed in range(10_000)) > 350_000


@given(words=st.lists(st.integers(0, 0xFFFF), max_size=200), model_id=st.sampled_from(IDS))
def test_any_length_is_survived(words: list[int], model_id: int) -> None:
    definition = definition_of(model_id)
    decoded = decode_model(definition, words)
    for point in definition.points:
        if point.offset + point.size > len(words):
            assert decoded.points[point.name] is None
    once = {part.name for part in definition.group.groups if part.count is None}
    assert sum(len(parts) for name, parts in decoded.groups.items() if name not in once) <= len(words)


def test_the_models_asked_for_are_there() -> None:
    assert set(IDS) == ASKED_FOR


def shape(group: Mapping[str, Any]) -> tuple[Any, ...]:
    points = [(p["name"], p["type"], p["size"], p.get("sf"), p.get("units", "")) for p in group["points"]]
    return group["name"], group.get("count"), points, [shape(part) for part in group.get("groups", [])]


def own_shape(group: GroupDefinition) -> tuple[Any, ...]:
    points = [(p.name, p.type, p.size, p.scale, p.unit) for p in group.points]
    return group.name, group.count, points, [own_shape(part) for part in group.groups]


@pytest.mark.parametrize("model_id", IDS)
def test_our_definitions_are_pysunspec2s(model_id: int) -> None:
    assert own_shape(definition_of(model_id).group) == shape(device.get_model_def(model_id)["group"])


@pytest.mark.parametrize("kind", sorted(NOT_IMPLEMENTED))
def test_not_implemented_is_none_for_every_type(kind: str) -> None:
    size = {"16": 1, "nt": 1, "sf": 1, "32": 2, "64": 4}[kind[-2:]]
    point = PointDefinition("X", kind, 0, size, None, "")
    model = ModelDefinition(9999, GroupDefinition("one", None, (point,), (), size))
    assert decode_model(model, encode_point(point, None)).points["X"] is None
    other = NOT_IMPLEMENTED[kind] ^ 1
    words = [other >> 16 * (size - 1 - n) & 0xFFFF for n in range(size)]
    assert decode_model(model, words).points["X"] is not None


@given(model_id=st.sampled_from(IDS), words=st.integers(2, 2000))
def test_requests_follow_each_other_and_tear_nothing(model_id: int, words: int) -> None:
    definition = definition_of(model_id)
    plan = read_plan(definition, words)
    assert all(0 < count <= MAX_REGISTERS_PER_REQUEST for _, count in plan)
    assert [start for start, _ in plan] == [0, *(start + count for start, count in plan[:-1])][: len(plan)]
    end = sum(plan[-1]) if plan else 0
    assert end <= words
    edges = {start for start, _ in plan} | {end}
    for point in definition.points:
        assert not any(point.offset < edge < point.offset + point.size for edge in edges)
    for start, count in plan:
        words_of_group = definition.group.groups[0].words if len(definition.group.groups) == 1 else 0
        if words_of_group and definition.group.words <= start and not definition.group.groups[0].groups:
            assert count % words_of_group == 0


def test_what_one_request_holds_is_not_torn() -> None:
    """Model 701 has its scale factors behind its values: all but the maker's text fits into one request."""
    definition = definition_of(701)
    assert read_plan(definition, 155) == ((0, 123),)
    assert not is_scaled_apart(definition, read_plan(definition, 155))
    assert read_plan(definition_of(213), 126) == ((0, 124), (124, 2)), "no point is cut"
    assert not is_scaled_apart(definition_of(213), read_plan(definition_of(213), 126)), "floats have no factors"
    inputs = definition_of(160)
    assert not is_scaled_apart(inputs, read_plan(inputs, 10 + 5 * 20))
    assert is_scaled_apart(inputs, read_plan(inputs, 10 + 6 * 20))
