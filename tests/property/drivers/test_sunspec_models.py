"""Our decoding of SunSpec models against pysunspec2's, on random register images."""

import math
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sunspec2 import device

from edge_agent.drivers.sunspec_models import MAX_SCALE, Point, decode_model, known_models
from tests.sunspec_image import encode_point

MODELS = known_models()
EXPONENTS = st.one_of(st.integers(-4, 4), st.integers(-MAX_SCALE, MAX_SCALE), st.just(-0x8000))


@st.composite
def images(draw: st.DrawFn) -> tuple[int, list[int]]:
    """A model's number and its registers: anything in the points, something sensible in the scale factors."""
    definition = MODELS[draw(st.sampled_from(sorted(MODELS)))]
    modules = draw(st.integers(1, 4)) if definition.repeated_words else 0
    size = definition.fixed_words + modules * definition.repeated_words
    data = draw(st.binary(min_size=2 * size, max_size=2 * size))
    words = [int.from_bytes(data[2 * i : 2 * i + 2], "big") for i in range(size)]
    for position in draw(st.lists(st.integers(0, size - 1), max_size=8)):
        words[position] = draw(st.sampled_from([0, 0x7FFF, 0x8000, 0xFFFF, 0x7FC0]))
    words[:2] = [definition.id, size - 2]
    for point in definition.points:
        if point.type == "sunssf":
            words[point.offset] = draw(EXPONENTS) % 0x1_0000
        if point.type == "count":
            words[point.offset] = modules
        if point.type == "string":
            text = draw(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=2 * point.size))
            words[point.offset : point.offset + point.size] = encode_point(point, text)
    for index in range(modules):
        start = definition.fixed_words + index * definition.repeated_words
        for point in definition.repeating:
            if point.type == "string":
                words[start + point.offset : start + point.offset + point.size] = encode_point(point, f"MPPT {index}")
    return definition.id, words


def check(ours: Point, theirs: Any, exponent: Any, name: str, *, is_single: bool) -> None:
    if ours is None:
        unusable = exponent is not None and (exponent.value is None)
        unknown = theirs is None or theirs == "" or (isinstance(theirs, float) and not math.isfinite(theirs))
        assert unusable or unknown, f"{name}: they read {theirs!r}"
    elif isinstance(ours, str):
        assert ours == theirs.rstrip("\0").strip(), name
    else:
        assert theirs is not None, f"{name}: we read {ours}"
        # We take a single as the shortest number that is this single, they as the double next to it. They scale in binary.
        singles = (struct.pack(">f", float(ours)), struct.pack(">f", theirs)) if is_single else (0, 0)
        assert singles[0] == singles[1], name
        assert is_single or float(ours) == pytest.approx(theirs, rel=1e-12, abs=0), name


@settings(max_examples=200)
@given(image=images())
def test_every_point_is_what_pysunspec2_reads(image: tuple[int, list[int]]) -> None:
    model_id, words = image
    ours = decode_model(MODELS[model_id], words)
    theirs = device.Model(model_id, model_len=len(words) - 2, data=b"".join(word.to_bytes(2, "big") for word in words))
    assert not theirs.error_info
    for point in ours.definition.points:
        if point.type != "pad":
            scale = theirs.points.get(point.scale) if point.scale else None
            check(
                ours.points[point.name],
                theirs.points[point.name].cvalue,
                scale,
                f"{model_id}.{point.name}",
                is_single=point.type == "float32",
            )
    repeated = theirs.groups["module"] if ours.definition.repeating else []
    assert len(ours.repeated) == len(repeated)
    for number, (own, other) in enumerate(zip(ours.repeated, repeated, strict=True)):
        for point in ours.definition.repeating:
            scale = theirs.points.get(point.scale) if point.scale else None
            check(
                own[point.name],
                other.points[point.name].cvalue,
                scale,
                f"{model_id}.{number}.{point.name}",
                is_single=False,
            )


@given(words=st.lists(st.integers(0, 0xFFFF), max_size=200), model_id=st.sampled_from(sorted(MODELS)))
def test_any_length_is_survived(words: list[int], model_id: int) -> None:
    decoded = decode_model(MODELS[model_id], words)
    for point in decoded.definition.points:
        if point.offset + point.size > len(words):
            assert decoded.points[point.name] is None


@pytest.mark.parametrize("model_id", sorted(MODELS))
def test_our_definitions_are_pysunspec2s(model_id: int) -> None:
    theirs = device.get_model_def(model_id)["group"]
    groups = theirs.get("groups", [])
    for points, own in [
        (theirs["points"], MODELS[model_id].points),
        *((g["points"], MODELS[model_id].repeating) for g in groups),
    ]:
        assert [(p["name"], p["type"], p["size"], p.get("sf")) for p in points] == [
            (p.name, p.type, p.size, p.scale) for p in own
        ]
