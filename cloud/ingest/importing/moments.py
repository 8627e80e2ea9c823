"""When a row was: local times become moments, and none is moved in silence.

A local time that does not exist (the clock was set forward across it) is unreadable. One that exists twice (the clock was set back) is
decided by `Fold`, which by default refuses it as well.
"""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from cloud.ingest.importing.errors import UnreadableError
from cloud.ingest.importing.mapping import Fold, TimeForm
from shared.periods import zone_of

_UNIX = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,9})?")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_UNITS_PER_S = {"unix_s": 1, "unix_ms": 1000}


class Moments:
    """Reads the moments of one file, row by row in its order."""

    def __init__(self, form: TimeForm, *, is_long: bool) -> None:
        """`is_long`: the same moment may stand in many rows, so that a repetition does not mean the second hour."""
        self._form = form
        self._zone = zone_of(form.zone) if form.zone else None
        self._is_long = is_long
        self._last: dict[str, datetime] = {}

    def read(self, text: str, *, series: str) -> datetime:
        """The aware UTC moment of a row, in whole milliseconds.

        Args:
            text: as it stands in the file.
            series: what the order of time is counted by: whatever the device column says.

        Raises:
            UnreadableError: if it is no moment, or not exactly one.
        """
        try:
            at = self._moment(text, series)
        except OverflowError as error:
            raise UnreadableError(f"time {text!r} is beyond the years that can be stored") from error
        self._last[series] = at
        return at - timedelta(microseconds=at.microsecond % 1000)

    def _moment(self, text: str, series: str) -> datetime:
        form = self._form.format
        if form in _UNITS_PER_S:
            return _unix(text, _UNITS_PER_S[form])
        local = _parsed(text, form)
        if local.tzinfo is not None:
            return local.astimezone(UTC)
        if self._zone is None:
            raise UnreadableError(f"time {text!r} tells no offset, and the mapping no time.zone")
        return self._placed(local, self._zone, text, series)

    def _placed(self, local: datetime, zone: ZoneInfo, text: str, series: str) -> datetime:
        before, after = _offset(local, zone, fold=0), _offset(local, zone, fold=1)
        first, second = ((local - offset).replace(tzinfo=UTC) for offset in (before, after))
        if before == after:
            return first
        if before < after:
            raise UnreadableError(f"time {text!r} does not exist in {zone.key}: the clock was set forward across it")
        if self._form.fold is Fold.REJECT:
            raise UnreadableError(
                f"time {text!r} exists twice in {zone.key}; say with time.fold which one it is: first, second or in_order"
            )
        if self._form.fold is not Fold.IN_ORDER:
            return first if self._form.fold is Fold.FIRST else second
        return self._next(first, second, text, series)

    def _next(self, first: datetime, second: datetime, text: str, series: str) -> datetime:
        last = self._last.get(series)
        if last is None or first > last or (self._is_long and first == last):
            return first
        if second < last or (second == last and not self._is_long):
            raise UnreadableError(
                f"time {text!r} goes back in time; time.fold = 'in_order' needs rows in order of time"
            )
        return second


def _offset(local: datetime, zone: ZoneInfo, *, fold: int) -> timedelta:
    """What the zone is ahead of UTC; around a change of the clock, as before (fold 0) or after it (fold 1)."""
    return zone.utcoffset(local.replace(fold=fold)) or timedelta(0)


def _unix(text: str, units_per_s: int) -> datetime:
    if not _UNIX.fullmatch(text):
        raise UnreadableError(f"time {text!r} is no Unix time")
    milliseconds = Decimal(text) * 1000 / units_per_s
    return _EPOCH + int(milliseconds // 1) * _MILLISECOND


def _parsed(text: str, form: str) -> datetime:
    try:
        return datetime.fromisoformat(text) if form == "iso" else datetime.strptime(text, form)  # noqa: DTZ007 -- placed later
    except ValueError as error:
        wanted = "ISO 8601" if form == "iso" else repr(form)
        raise UnreadableError(f"time {text!r} is not written as {wanted}") from error
