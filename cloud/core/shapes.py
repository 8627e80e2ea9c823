"""What the JSON columns have in common: models that are checked before a column is written."""

from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

DecimalText = Annotated[
    Decimal,
    # Eleven characters of input, 1e999999999, would otherwise be written out as a gigabyte of zeros.
    Field(allow_inf_nan=False, max_digits=60),
    PlainSerializer(lambda value: f"{value:f}", return_type=str, when_used="json"),
]
"""A decimal number of up to 60 digits, written as text in JSON so that no reader turns it into a binary fraction; read from text or
number."""


class Shape(BaseModel):
    """The content of a JSON column. An unknown key is refused: it is a spelling mistake sooner than an extension."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def to_json(self) -> dict[str, Any]:
        """The object as it is stored; keys that were not given and have no default are left out."""
        return self.model_dump(mode="json", exclude_none=True)


class OpenShape(Shape):
    """A shape that keeps keys beyond its own."""

    model_config = ConfigDict(extra="allow")
