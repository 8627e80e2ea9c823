"""Answers of HTTP devices -> values of the catalogue, by an HTTP map. Pure.

A device is asked for everything at once, so what an answer does not carry is not available: None, never zero and never what it was.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from edge_agent.drivers.json_values import (
    ABSENT,
    BoundStamp,
    BoundValue,
    PayloadError,
    TemplateError,
    at,
    bind_stamp,
    bind_values,
    check_age,
    document_of,
    fill,
    nothing_to_read,
    steps_of,
    value_at,
    with_defaults,
)
from edge_agent.profiles.requests import HttpMap, HttpRequest
from shared.enums import DeviceType
from shared.readings import Value


class NotOkError(PayloadError):
    """The device answered that it has no answer."""


@dataclass(frozen=True, slots=True)
class BoundRequest:
    """A request with a connection's names filled in."""

    spec: HttpRequest
    path: str
    ok: tuple[str, ...]
    reason: tuple[str, ...]
    stamp: BoundStamp | None
    values: tuple[BoundValue, ...]

    @property
    def nothing(self) -> dict[str, Value]:
        """Every key of the answer, not available."""
        return {value.spec.metric: None for value in self.values}


def bind_requests(
    http_map: HttpMap, names: Mapping[str, object], *, device_type: DeviceType
) -> tuple[BoundRequest, ...]:
    """The requests that a device of this type needs, with the connection's names filled in.

    Raises:
        TemplateError: if a name is missing, empty or would change what a path means, or so many were left open that nothing is asked.
    """
    given = with_defaults(names, http_map.defaults)
    bound = (
        BoundRequest(
            spec=request,
            path=fill(request.path, given, open_as="", forbidden="?&#\\% \0"),
            ok=steps_of(request.ok.path, given) if request.ok else (),
            reason=steps_of(request.reason, given),
            stamp=bind_stamp(request.stamp, given),
            values=bind_values(request.values, given, device_type=device_type),
        )
        for request in http_map.requests
    )
    requests = tuple(request for request in bound if request.values)
    if not requests:
        raise TemplateError(nothing_to_read(http_map.open_names))
    return requests


def decode_answer(request: BoundRequest, body: bytes, *, now: datetime) -> dict[str, Value]:
    """Values of one answer, each key that the request is for.

    Raises:
        NotOkError: if the device says that this is no answer.
        PayloadError: if the answer is not what the map says, or its values are not the present by their own stamp.
    """
    document = document_of(body, request.path)
    if request.spec.ok is not None and not request.spec.ok.holds(at(document, request.ok, request.path)):
        reason = at(document, request.reason, request.path) if request.reason else ABSENT
        said = "no reason given" if reason is ABSENT else str(reason)[:200]
        raise NotOkError(f"{request.path}: the device says that it has no answer: {said}")
    check_age(request.stamp, document, request.path, now=now)
    values = request.nothing
    for value in request.values:
        found = value_at(value, document, request.path)
        if found is not ABSENT:
            values[value.spec.metric] = found
    return values
