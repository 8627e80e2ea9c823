"""Types of text that people enter; what PostgreSQL, a PDF or a log line cannot hold is refused at the door."""

import unicodedata
from datetime import date
from typing import Annotated, TypeVar
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    AnyHttpUrl,
    BaseModel,
    EmailStr,
    Field,
    SecretStr,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)

_ModelT = TypeVar("_ModelT", bound=BaseModel)
_url = TypeAdapter(AnyHttpUrl)

_MAX_NAME_CHARS = 255
_MAX_PROSE_CHARS = 5_000


def _printable_line(value: str) -> str:
    for char in value:
        # Cc: control, Cs: half of a surrogate pair, Zl/Zp: line and paragraph separators.
        if unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"}:
            raise ValueError(f"must be one line of text; the character U+{ord(char):04X} is not allowed")
    return value


def _storable_prose(value: str) -> str:
    for char in value:
        if char not in "\n\r\t" and unicodedata.category(char) in {"Cc", "Cs"}:
            raise ValueError(f"the character U+{ord(char):04X} is not allowed")
    return value


def _lower(value: str) -> str:
    return value.lower()


def _encodable(value: SecretStr) -> SecretStr:
    _storable_prose(value.get_secret_value())
    return value


def _web_address(value: str) -> str:
    try:
        _url.validate_python(value)
    except ValidationError:
        raise ValueError("must be a web address, as in https://example.pk") from None
    return _printable_line(value)


def _known_zone(value: str) -> str:
    if value not in available_timezones():
        raise ValueError("must be a time zone of the IANA database, as in Asia/Karachi")
    return value


def refuse_nulls(patch: _ModelT, *names: str) -> _ModelT:
    """Check a PATCH body: a field that cannot be empty may be left out, but not set to null.

    Raises:
        ValueError: naming the field; a model validator turns it into a 422.
    """
    for name in names:
        if name in patch.model_fields_set and getattr(patch, name) is None:
            raise ValueError(f"{name} cannot be null; leave it out to keep it as it is")
    return patch


Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=_MAX_NAME_CHARS),
    AfterValidator(_printable_line),
]
"""One line, 1 to 255 characters."""

Word = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100), AfterValidator(_printable_line)
]
"""One line, 1 to 100 characters."""

Line = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=_MAX_NAME_CHARS), AfterValidator(_printable_line)
]
"""One line, may be empty."""

Prose = Annotated[str, StringConstraints(max_length=_MAX_PROSE_CHARS), AfterValidator(_storable_prose)]
"""Several lines, up to 5,000 characters."""

Email = Annotated[EmailStr, Field(max_length=320), AfterValidator(_lower)]
"""An e-mail address, in lower case."""

NewPassword = Annotated[SecretStr, Field(min_length=10, max_length=200), AfterValidator(_encodable)]
"""A password as somebody chooses it: length counts, not kinds of characters."""

Secret = Annotated[SecretStr, Field(max_length=200), AfterValidator(_encodable)]
"""A password or a token as somebody sends it to be compared; text that no encoding holds cannot be anybody's."""

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9](?:[a-z0-9-]{0,98}[a-z0-9])?$")]
"""A name for addresses: lower-case letters, digits and dashes."""

WebAddress = Annotated[str, StringConstraints(strip_whitespace=True, max_length=500), AfterValidator(_web_address)]
"""An http or https address."""

Day = Annotated[date, Field(ge=date(2000, 1, 1), le=date(2100, 12, 31))]
"""A day that readings can be of; at the ends of the calendar its local midnight could not be told in UTC."""

TimeZoneName = Annotated[str, Field(max_length=50), AfterValidator(_known_zone)]
"""Name of an IANA time zone."""
