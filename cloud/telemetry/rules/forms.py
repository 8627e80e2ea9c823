"""Which form of an answer a client wants (RFC 9110, Accept)."""

from collections.abc import Sequence

_MAX_RANGES = 30


def preferred_form(accept: str | None, forms: Sequence[str]) -> str | None:
    """The form that a client prefers.

    Args:
        accept: the header; None or empty accepts everything.
        forms: media types that can be written, the usual one first; it also wins among equals.

    Returns:
        None if the client accepts none of them.
    """
    if not (accept or "").strip():
        return forms[0]
    ranges = [_range(part) for part in (accept or "").split(",")[:_MAX_RANGES]]
    weights = {form: _weight(form, ranges) for form in forms}
    best = max(forms, key=lambda form: weights[form])
    return best if weights[best] > 0 else None


def _range(part: str) -> tuple[str, float]:
    """A media range and its weight; one that cannot be read weighs nothing."""
    media, *parameters = (piece.strip().lower() for piece in part.split(";"))
    weight = 1.0
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            digits = value.strip()
            weight = float(digits) if digits.replace(".", "", 1).isdecimal() and digits.isascii() else 0.0
    return media, min(weight, 1.0)


def _weight(form: str, ranges: Sequence[tuple[str, float]]) -> float:
    """What the most exact of the ranges that match says."""
    by_exactness = (form, form.partition("/")[0] + "/*", "*/*")
    for pattern in by_exactness:
        found = [weight for media, weight in ranges if media == pattern]
        if found:
            return max(found)
    return 0.0
