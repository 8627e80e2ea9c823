"""When a row was: formats, zones, and the hours that clocks skip or repeat."""

from datetime import UTC, datetime

import pytest

from cloud.ingest.importing.errors import UnreadableError
from cloud.ingest.importing.mapping import Fold, TimeForm
from cloud.ingest.importing.moments import Moments

PATTERN = "%d.%m.%Y %H:%M"


def moments(zone: str | None = None, *, form: str = "iso", fold: Fold = Fold.REJECT, is_long: bool = False) -> Moments:
    return Moments(TimeForm(column="t", format=form, zone=zone, fold=fold), is_long=is_long)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]  # year, month, day and more


@pytest.mark.parametrize(
    ("form", "zone", "text", "at"),
    [
        ("iso", None, "2026-06-01T12:00:00+05:00", utc(2026, 6, 1, 7)),
        ("iso", None, "2026-06-01 07:00:00.250Z", utc(2026, 6, 1, 7, 0, 0, 250_000)),
        ("iso", "Asia/Karachi", "2026-06-01 12:00", utc(2026, 6, 1, 7)),
        ("iso", "Asia/Karachi", "2026-06-01 12:00+00:00", utc(2026, 6, 1, 12)),
        (PATTERN, "Asia/Karachi", "01.06.2026 12:00", utc(2026, 6, 1, 7)),
        (PATTERN, "Asia/Karachi", "01.06.2009 12:00", utc(2009, 6, 1, 6)),  # summer time of 2009
        ("%m/%d/%y %I:%M %p", "Asia/Kathmandu", "06/01/26 12:15 PM", utc(2026, 6, 1, 6, 30)),
        ("%Y-%m-%d %H:%M:%S %z", None, "2026-06-01 12:00:00 +0530", utc(2026, 6, 1, 6, 30)),
        ("unix_s", None, "1780297200", utc(2026, 6, 1, 7)),
        ("unix_s", None, "1780297200.5", utc(2026, 6, 1, 7, 0, 0, 500_000)),
        ("unix_ms", None, "1780297200250", utc(2026, 6, 1, 7, 0, 0, 250_000)),
        ("iso", None, "2026-06-01T07:00:00.123456Z", utc(2026, 6, 1, 7, 0, 0, 123_000)),
    ],
)
def test_moments_of_every_format(form: str, zone: str | None, text: str, at: datetime) -> None:
    assert moments(zone, form=form).read(text, series="") == at


@pytest.mark.parametrize(
    ("form", "zone", "text", "said"),
    [
        ("iso", "Asia/Karachi", "01.06.2026", "is not written as ISO 8601"),
        ("iso", None, "2026-06-01 12:00", "the mapping no time.zone"),
        (PATTERN, "Asia/Karachi", "2026-06-01", "is not written as '%d.%m.%Y %H:%M'"),
        (PATTERN, "Asia/Karachi", "01.06.2026 24:00", "is not written as"),
        ("unix_s", None, "yesterday", "is no Unix time"),
        ("unix_ms", None, "999999999999999", "beyond the years"),
        ("iso", "Asia/Karachi", "0001-01-01 00:00", "beyond the years"),
        ("iso", "Asia/Karachi", "", "is not written as"),
    ],
)
def test_what_is_no_moment(form: str, zone: str | None, text: str, said: str) -> None:
    with pytest.raises(UnreadableError, match=said.replace(".", r"\.")):
        moments(zone, form=form).read(text, series="")


@pytest.mark.parametrize("fold", Fold)
def test_an_hour_that_was_skipped_is_never_moved(fold: Fold) -> None:
    with pytest.raises(UnreadableError, match="does not exist in Europe/London"):
        moments("Europe/London", fold=fold).read("2026-03-29 01:30", series="")


def test_an_hour_that_was_shown_twice() -> None:
    text = "2026-10-25 01:30"
    with pytest.raises(UnreadableError, match="exists twice in Europe/London"):
        moments("Europe/London").read(text, series="")
    assert moments("Europe/London", fold=Fold.FIRST).read(text, series="") == utc(2026, 10, 25, 0, 30)
    assert moments("Europe/London", fold=Fold.SECOND).read(text, series="") == utc(2026, 10, 25, 1, 30)


def test_rows_in_order_of_time_tell_both_hours_apart() -> None:
    reader = moments("Europe/London", fold=Fold.IN_ORDER)
    local = ["00:30", "01:00", "01:30", "01:00", "01:30", "02:00"]
    read = [reader.read(f"2026-10-25 {text}", series="a") for text in local]
    assert [(at.hour, at.minute) for at in read] == [(23, 30), (0, 0), (0, 30), (1, 0), (1, 30), (2, 0)]
    assert reader.read("2026-10-25 01:00", series="b") == utc(2026, 10, 25, 0, 0)  # another device begins


def test_hourly_rows_in_order() -> None:
    wide = moments("Europe/London", fold=Fold.IN_ORDER)
    assert [wide.read("2026-10-25 01:00", series="").hour for _ in range(2)] == [0, 1]
    with pytest.raises(UnreadableError, match="goes back in time"):
        wide.read("2026-10-25 01:00", series="")
    long = moments("Europe/London", fold=Fold.IN_ORDER, is_long=True)
    assert [long.read("2026-10-25 01:00", series="").hour for _ in range(3)] == [0, 0, 0]


def test_rows_against_the_order_of_time_are_not_guessed() -> None:
    reader = moments("Europe/London", fold=Fold.IN_ORDER)
    reader.read("2026-10-25 03:00", series="")
    with pytest.raises(UnreadableError, match="goes back in time"):
        reader.read("2026-10-25 01:30", series="")


def test_half_an_hour_on_lord_howe() -> None:
    reader = moments("Australia/Lord_Howe", fold=Fold.IN_ORDER)
    read = [reader.read(f"2026-04-05 {text}", series="") for text in ("01:30", "01:45", "01:30", "01:45", "02:00")]
    assert [(at - read[0]).total_seconds() / 60 for at in read] == [0, 15, 30, 45, 60]
