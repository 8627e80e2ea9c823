"""Lists: `{items, next_cursor}`, by cursor (keyset) or by offset.

A cursor is opaque to the client: the sort key of the last row, signed for the person, the address and the filters it was made
for. Reading on by cursor costs the same at any depth; an offset costs more with every page and ends at `MAX_OFFSET`.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel, Field
from sqlalchemy import ColumnElement, Select, literal, tuple_

from cloud.core.crypto import derive_key, same
from cloud.core.errors import ValidationFailedError

DEFAULT_LIMIT = 50
MAX_LIMIT = 200
MAX_OFFSET = 10_000

_SIGNATURE_BYTES = 16
_MAX_CURSOR_CHARS = 1_024

CursorValue = str | int | float | datetime | date | UUID | None
ItemT = TypeVar("ItemT")
_RowT = TypeVar("_RowT")
_StatementT = TypeVar("_StatementT", bound=Select[*tuple[Any, ...]])


class Page(BaseModel, Generic[ItemT]):
    """One page of a list."""

    items: list[ItemT]
    next_cursor: str | None = Field(
        default=None, description="Send it as `cursor` for the next page; null on the last one."
    )


class CursorSigner:
    """Makes and reads cursors."""

    def __init__(self, secret_key: bytes) -> None:
        """`secret_key`: the installation's 32 bytes."""
        self._key = derive_key(secret_key, "cursor")

    def write(self, values: Sequence[CursorValue], *, binding: str) -> str:
        """A cursor for the row with these sort values; `binding` names the list it continues."""
        body = json.dumps([_packed(value) for value in values], separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(self._sign(body, binding) + body).decode().rstrip("=")

    def read(self, cursor: str, *, binding: str) -> tuple[CursorValue, ...]:
        """Undo `write`.

        Raises:
            ValidationFailedError: `cursor_invalid` for anything that was not made by `write` for the same list.
        """
        problem = ValidationFailedError(
            "This cursor belongs to another list, or was changed; start again without a cursor.", code="cursor_invalid"
        )
        if len(cursor) > _MAX_CURSOR_CHARS:
            raise problem
        try:
            raw = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise problem from None
        signature, body = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
        if not same(signature, self._sign(body, binding)):
            raise problem
        return tuple(_unpacked(value) for value in json.loads(body))

    def _sign(self, body: bytes, binding: str) -> bytes:
        return hmac.digest(self._key, hashlib.sha256(binding.encode()).digest() + body, "sha256")[:_SIGNATURE_BYTES]


def _packed(value: CursorValue) -> object:
    if isinstance(value, datetime):
        return {"t": value.isoformat()}
    if isinstance(value, date):
        return {"d": value.isoformat()}
    return {"u": value.hex} if isinstance(value, UUID) else value


def _unpacked(value: Any) -> CursorValue:  # noqa: ANN401 -- JSON
    if not isinstance(value, dict):
        return value  # type: ignore[no-any-return]
    if "t" in value:
        return datetime.fromisoformat(value["t"])
    return date.fromisoformat(value["d"]) if "d" in value else UUID(hex=value["u"])


@dataclass(frozen=True, slots=True)
class Paging:
    """Which page of a list is asked for.

    Attributes:
        limit: rows per page.
        offset: rows to leave out; 0 with a cursor.
        after: sort values of the last row of the page before; None at the start.
        binding: person, address and filters: a cursor of another list is refused.
        signer: see `CursorSigner`.
    """

    limit: int
    offset: int
    after: tuple[CursorValue, ...] | None
    binding: str
    signer: CursorSigner

    def apply(self, statement: _StatementT, *keys: Any, descending: bool = False) -> _StatementT:  # noqa: ANN401 -- any column
        """Order the statement and cut it to this page (and one row more, which tells whether another page follows).

        Args:
            statement: a select without order and limit.
            keys: sort columns, none of them nullable; the last one unique.
            descending: newest first.
        """
        ordered = statement.order_by(*(key.desc() if descending else key.asc() for key in keys))
        if self.after is not None:
            if len(self.after) != len(keys):
                raise ValidationFailedError("This cursor belongs to another order of the list.", code="cursor_invalid")
            left = tuple_(*keys)
            right: ColumnElement[Any] = tuple_(
                *(literal(value, type_=key.type) for value, key in zip(self.after, keys, strict=True))
            )
            ordered = ordered.where(left < right if descending else left > right)
        return ordered.limit(self.limit + 1).offset(self.offset or None)

    def split(
        self, rows: Sequence[_RowT], *, key: Callable[[_RowT], tuple[CursorValue, ...]]
    ) -> tuple[Sequence[_RowT], str | None]:
        """The page's rows and the cursor of the next page.

        Args:
            rows: what the statement of `apply` gave.
            key: a row's sort values, in the order of `apply`'s keys.
        """
        if len(rows) <= self.limit:
            return rows, None
        kept = rows[: self.limit]
        return kept, self.signer.write(key(kept[-1]), binding=self.binding)


def paging_of(*, limit: int, offset: int, cursor: str | None, binding: str, signer: CursorSigner) -> Paging:
    """Check what the client asked for.

    Raises:
        ValidationFailedError: `offset_too_large`, `cursor_invalid`, or a cursor and an offset together.
    """
    if offset > MAX_OFFSET:
        raise ValidationFailedError(
            f"offset goes up to {MAX_OFFSET}; read on with the `next_cursor` of the page before, which works at any depth.",
            code="offset_too_large",
            errors=[{"field": "offset", "value": offset, "message": f"at most {MAX_OFFSET}; use `cursor` beyond"}],
        )
    if cursor is not None and offset:
        raise ValidationFailedError(
            "Send either `cursor` or `offset`.",
            errors=[{"field": "offset", "value": offset, "message": "cannot be combined with `cursor`"}],
        )
    after = None if cursor is None else signer.read(cursor, binding=binding)
    return Paging(limit=limit, offset=offset, after=after, binding=binding, signer=signer)
