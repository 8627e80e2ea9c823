"""What an HTTP map may say: which requests a device answers, and where its values stand in the answers.

Paths and names in braces are those of `mapped.py`; names come from the query of the connection's `base_url` (`http://10.0.0.7/?inverter=2`)
and from further keys of the connection.
"""

from enum import StrEnum
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from edge_agent.profiles.mapped import (
    MappedValue,
    PathCondition,
    Stamp,
    WithTemplates,
    check_keys,
    check_path,
    unroll,
    unroll_values,
)
from edge_agent.profiles.model import ProfilePart, ProfileQuality, Source
from shared.enums import DeviceType


class HttpAuth(StrEnum):
    """How a device wants to be convinced."""

    BASIC = "basic"
    DIGEST = "digest"
    BEARER = "bearer"


class HttpRequest(ProfilePart):
    """One request and what its answer carries.

    Attributes:
        path: after the connection's `base_url`, query included.
        ok: what the answer must say to be one.
        reason: where the answer says why it is none.
        is_optional: not every device of the family has it (`optional` in the file): a "not found" or an answer that is not `ok` is no
            error, and its values are not available.
        stamp: where the answer says how old its values are.
    """

    path: str = Field(pattern=r"^/[^\s#]*$")
    ok: PathCondition | None = None
    reason: str = ""
    is_optional: bool = Field(alias="optional", default=False)
    stamp: Stamp | None = None
    values: tuple[MappedValue, ...] = Field(alias="value", min_length=1)

    @property
    def templates(self) -> tuple[str, ...]:
        """Texts with names in braces."""
        own = (self.path, self.reason, self.ok.path if self.ok else "", *(self.stamp.templates if self.stamp else ()))
        return own + tuple(template for value in self.values for template in value.templates)

    @field_validator("reason")
    @classmethod
    def _can_be_walked(cls, path: str) -> str:
        return check_path(path)

    @model_validator(mode="after")
    def _values_have_paths(self) -> Self:
        for value in self.values:
            if not value.path:
                raise ValueError(f"{value.metric} has no path; say where it stands in the answer")
        return self


class HttpMap(WithTemplates):
    """One family.

    Attributes:
        name: as in the plan, and the file's name without `.toml`.
        read_for: device types that the map is for (`for` in the file).
        auth: how a user name and password are sent; a token always goes as bearer.
        username: when the connection gives a password alone.
        gap_s: silence between two requests to one device.
        timeout_s: for a whole answer.
    """

    format: Literal[1]
    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: str
    quality: ProfileQuality
    read_for: tuple[DeviceType, ...] = Field(alias="for", min_length=1)
    auth: HttpAuth | None = None
    username: str = ""
    gap_s: float = Field(default=0.0, ge=0, le=60)
    timeout_s: float = Field(default=10.0, gt=0, le=60)
    requests: tuple[HttpRequest, ...] = Field(alias="request", min_length=1)
    quirks: tuple[str, ...] = ()
    sources: tuple[Source, ...] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _written_out(cls, source: Any) -> Any:  # noqa: ANN401 - what a file holds is not known before it is checked
        requests = unroll(source.get("request")) if isinstance(source, dict) else None
        return source | {"request": [*map(unroll_values, requests)]} if isinstance(requests, list) else source

    @property
    def _templates(self) -> list[str]:
        return [template for request in self.requests for template in request.templates]

    @property
    def metrics(self) -> tuple[str, ...]:
        """Every key that the map can give."""
        return tuple(dict.fromkeys(value.metric for request in self.requests for value in request.values))

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        check_keys(tuple(request.values for request in self.requests), self.read_for)
        return self
