"""What leaves when, and under which name."""

import calendar
import hashlib
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cloud.accounts.schemas import Retention
from cloud.core.files import normal_path
from cloud.storage.render import FileColumn, from_parquet, to_parquet
from cloud.storage.rules import Kind, Span, days_between, first_kept, next_month, path_of, span_of

days = st.dates(date(2000, 1, 1), date(2100, 12, 31))
kinds = st.sampled_from(list(Kind))
SITE, ORGANIZATION = UUID(int=1), UUID(int=2)


@st.composite
def classes(draw: st.DrawFn) -> Retention:
    raw = draw(st.integers(45, 3_660))
    quarters = draw(st.integers(max(400, raw), 7_320))
    return Retention(raw_days=raw, quarter_hour_days=quarters, hour_days=draw(st.integers(quarters, 18_300)))


@given(kind=kinds, day=days)
def test_a_day_lies_in_its_span_and_spans_touch(kind: Kind, day: date) -> None:
    span = span_of(SITE, ORGANIZATION, kind, day)
    assert span.first_day <= day <= span.last_day
    assert span == span_of(SITE, ORGANIZATION, kind, span.first_day) == span_of(SITE, ORGANIZATION, kind, span.last_day)
    following = span_of(SITE, ORGANIZATION, kind, span.last_day + timedelta(days=1))
    assert following.start == span.end
    length = 1 if kind is Kind.RAW else calendar.monthrange(day.year, day.month)[1]
    assert span.end - span.start == timedelta(days=length)


@given(day=days)
def test_the_next_month_begins_after_this_one(day: date) -> None:
    first = next_month(day)
    assert first.day == 1
    assert first > day
    assert (first - timedelta(days=1)).month == day.month


@given(retention=classes(), kind=kinds, today=days)
def test_nothing_leaves_before_its_class_ends_and_nothing_stays_a_month_longer(
    retention: Retention, kind: Kind, today: date
) -> None:
    promised = {
        Kind.RAW: retention.raw_days,
        Kind.QUARTER_HOURS: retention.quarter_hour_days,
        Kind.HOURS: retention.hour_days,
    }
    kept = first_kept(retention, kind, today)
    age = (today - kept).days
    assert promised[kind] <= age < promised[kind] + (1 if kind is Kind.RAW else 31)
    newest_to_leave = span_of(SITE, ORGANIZATION, kind, kept - timedelta(days=1))
    assert newest_to_leave.last_day < kept
    assert first_kept(retention, kind, today + timedelta(days=1)) >= kept


@given(retention=classes(), today=days)
def test_what_is_coarser_stays_at_least_as_long(retention: Retention, today: date) -> None:
    raw, quarters, hours = (first_kept(retention, kind, today) for kind in Kind)
    assert hours <= quarters <= raw


@given(raw=st.integers(0, 4_000), quarters=st.integers(0, 8_000), hours=st.integers(0, 20_000))
def test_classes_out_of_order_or_bounds_are_refused(raw: int, quarters: int, hours: int) -> None:
    is_good = 45 <= raw <= 3_660 and 400 <= quarters <= 7_320 and 400 <= hours <= 18_300 and raw <= quarters <= hours
    if is_good:
        assert Retention(raw_days=raw, quarter_hour_days=quarters, hour_days=hours).raw_days == raw
    else:
        with pytest.raises(ValidationError):
            Retention(raw_days=raw, quarter_hour_days=quarters, hour_days=hours)


@given(day=days, length=st.integers(0, 400))
def test_days_between_have_no_hole(day: date, length: int) -> None:
    found = list(days_between(day, day + timedelta(days=length)))
    assert (found[0], found[-1], len(set(found))) == (day, day + timedelta(days=length), length + 1)


@given(kind=kinds, day=days, content=st.binary(max_size=20), other=st.binary(max_size=20))
def test_a_path_is_one_of_the_store_and_tells_content_apart(
    kind: Kind, day: date, content: bytes, other: bytes
) -> None:
    span = span_of(SITE, ORGANIZATION, kind, day)
    one, two = (path_of(span, hashlib.sha256(bytes_).hexdigest()) for bytes_ in (content, other))
    assert str(normal_path(one)) == one
    assert (one == two) == (content == other)
    neighbour = Span(UUID(int=9), ORGANIZATION, kind, span.first_day, span.last_day)
    assert path_of(neighbour, hashlib.sha256(content).hexdigest()) != one


moments = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)).map(lambda at: at.replace(tzinfo=UTC, fold=0))  # noqa: DTZ001 -- made aware
text = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)
columns = st.fixed_dictionaries(
    {
        "at": st.lists(moments, min_size=3, max_size=3).map(lambda values: FileColumn("TIMESTAMP WITH TIME ZONE", values)),
        "seq": st.lists(st.integers(-(2**63), 2**63 - 1), min_size=3, max_size=3).map(lambda values: FileColumn("BIGINT", values)),
    },
    optional={
        "kw": st.lists(st.none() | st.floats(width=32, allow_nan=False), min_size=3, max_size=3).map(
            lambda values: FileColumn("REAL", values)
        ),
        "kwh": st.lists(st.none() | st.floats(allow_nan=False), min_size=3, max_size=3).map(
            lambda values: FileColumn("DOUBLE PRECISION", values)
        ),
        "bits": st.lists(st.none() | st.integers(-(2**15), 2**15 - 1), min_size=3, max_size=3).map(
            lambda values: FileColumn("SMALLINT", values)
        ),
        "word": st.lists(st.none() | text, min_size=3, max_size=3).map(lambda values: FileColumn("VARCHAR(32)", values)),
        "never": st.just(FileColumn("TIMESTAMP WITH TIME ZONE", [None, None, None])),
    },
)  # fmt: skip


@given(told=columns)
def test_a_file_gives_back_what_it_was_given_and_is_always_the_same(told: dict[str, FileColumn]) -> None:
    content = to_parquet(told, about={"site": "one", "kind": "raw"})
    assert content == to_parquet(told, about={"site": "one", "kind": "raw"})
    found = from_parquet(content)
    assert list(found) == list(told)
    for name, column in told.items():
        assert [repr(value) for value in found[name]] == [repr(value) for value in column.values]
