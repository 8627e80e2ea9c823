"""Comparisons, forms of an answer, shares, and tables: known answers."""

import csv
import dataclasses
import io
import json
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from arro3.io import read_parquet
from hypothesis import given
from hypothesis import strategies as st

from cloud.telemetry import render
from cloud.telemetry.answers import Answer, ArchivedDays, Line, Span
from cloud.telemetry.render import COLUMNS, NoParquetError, about, to_csv, to_json, to_parquet
from cloud.telemetry.rules.forms import preferred_form
from cloud.telemetry.rules.series import (
    Comparison,
    NoEarlierTimeError,
    earlier_window,
    is_channel,
    window_of_length,
)
from cloud.telemetry.rules.shares import part_percent
from cloud.telemetry.schemas import Series, SeriesSet
from shared.metrics import UnknownMetricError
from shared.periods import Window, zone_of

KARACHI, NEW_YORK = zone_of("Asia/Karachi"), zone_of("America/New_York")
DEVICE = UUID(int=7)
FORMS = ("application/json", "text/csv", "application/vnd.apache.parquet")


def window(start: str, end: str) -> Window:
    return Window(datetime.fromisoformat(start).astimezone(UTC), datetime.fromisoformat(end).astimezone(UTC))


class TestComparison:
    def test_the_day_before(self) -> None:
        day = window("2026-06-02T00:00+05:00", "2026-06-03T00:00+05:00")
        assert earlier_window(Comparison.PREVIOUS, day, KARACHI) == window(
            "2026-06-01T00:00+05:00", "2026-06-02T00:00+05:00"
        )

    def test_the_day_before_is_a_whole_day_also_when_the_clocks_change(self) -> None:
        monday = window("2026-03-09T00:00-04:00", "2026-03-10T00:00-04:00")
        sunday = earlier_window(Comparison.PREVIOUS, monday, NEW_YORK)
        assert sunday == window("2026-03-08T00:00-05:00", "2026-03-09T00:00-04:00")
        assert sunday.seconds == 23 * 3600

    def test_hours_that_are_no_whole_days_move_by_their_length(self) -> None:
        assert earlier_window(
            Comparison.PREVIOUS, window("2026-06-02T10:00+05:00", "2026-06-02T13:00+05:00"), KARACHI
        ) == window("2026-06-02T07:00+05:00", "2026-06-02T10:00+05:00")

    @pytest.mark.parametrize(
        ("start", "end", "earlier_start", "earlier_end"),
        [
            ("2026-06-01", "2026-07-01", "2025-06-01", "2025-07-01"),
            ("2024-02-01", "2024-03-01", "2023-02-01", "2023-03-01"),
            ("2024-02-29", "2024-03-01", "2023-02-28", "2023-03-01"),
            ("2024-02-28", "2024-02-29", "2023-02-28", "2023-03-01"),
        ],
    )
    def test_the_year_before(self, start: str, end: str, earlier_start: str, earlier_end: str) -> None:
        midnight = "T00:00+05:00"
        assert earlier_window(Comparison.YEAR, window(start + midnight, end + midnight), KARACHI) == window(
            earlier_start + midnight, earlier_end + midnight
        )

    def test_before_the_calendar_begins(self) -> None:
        first = Window(datetime(1, 1, 2, tzinfo=UTC), datetime(2, 1, 2, tzinfo=UTC))
        for how in Comparison:
            with pytest.raises(NoEarlierTimeError, match="0001-01-02"):
                earlier_window(how, first, zone_of("UTC"))
        with pytest.raises(NoEarlierTimeError, match="9999"):
            window_of_length(first, datetime(9999, 12, 31, tzinfo=UTC), zone_of("UTC"))

    def test_a_channel_is_one_that_has_a_mean(self) -> None:
        assert is_channel("dc_voltage_v.pv1")
        assert not is_channel("dc_voltage_v")
        with pytest.raises(UnknownMetricError, match="pv1"):
            is_channel("energy_total_kwh.pv1")


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (None, FORMS[0]),
        (" ", FORMS[0]),
        ("*/*", FORMS[0]),
        ("text/csv", FORMS[1]),
        ("Text/CSV; header=present", FORMS[1]),
        ("text/*", FORMS[1]),
        ("text/csv;q=0.5, application/vnd.apache.parquet", FORMS[2]),
        ("application/json;q=0.1, */*;q=0.9", FORMS[1]),
        ("text/html, */*;q=0.8", FORMS[0]),
        ("text/csv;q=0, application/json;q=0", None),
        ("text/csv;q=nan", None),
        ("text/csv;q=1e9", None),
        ("image/png", None),
    ],
)
def test_the_form_that_is_preferred(accept: str | None, form: str | None) -> None:
    assert preferred_form(accept, FORMS) == form


@pytest.mark.parametrize(
    ("part", "whole", "percent"),
    [(3.0, 4.0, 75.0), (4.001, 4.0, 100.0), (-0.001, 4.0, 0.0), (None, 4.0, None), (3.0, None, None), (0.0, 0.0, None)],
)
def test_a_share(part: float | None, whole: float | None, percent: float | None) -> None:
    assert part_percent(part, whole) == percent


START = datetime(2026, 6, 1, 7, tzinfo=UTC)
YESTERDAY = START - timedelta(days=1)
ANSWER = Answer(
    site_id=UUID(int=1),
    resolution="1h",
    timezone="Asia/Karachi",
    asked=Span(
        START,
        START + timedelta(hours=2),
        [
            Line(
                DEVICE, "ac_power_kw", "kW",
                moments=[START, START + timedelta(hours=1, microseconds=1)], values=[1.25, None], lows=[0.0, None], highs=[2.5, None],
            ),
            Line(None, "operating_state", "", moments=[START], values=['on, "really"\n=1+1'], lows=[None], highs=[None]),
        ],
    ),
    compared=Span(
        YESTERDAY,
        START,
        [Line(None, "ac_power_kw", "kW", moments=[YESTERDAY], values=[3.0], lows=[None], highs=[None])],
    ),
)  # fmt: skip


def test_csv_has_a_row_for_each_point_and_empty_cells_for_what_is_missing() -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(ANSWER).decode(), newline="")))
    assert tuple(rows[0]) == COLUMNS
    assert [(row["period"], row["at"], row["value"], row["low"], row["high"]) for row in rows] == [
        ("asked", "2026-06-01T07:00:00Z", "1.25", "0.0", "2.5"),
        ("asked", "2026-06-01T08:00:00.000001Z", "", "", ""),
        ("asked", "2026-06-01T07:00:00Z", "", "", ""),
        ("compared", "2026-05-31T07:00:00Z", "3.0", "", ""),
    ]
    assert [row["device_id"] for row in rows] == [str(DEVICE), str(DEVICE), "", ""]
    assert rows[2]["word"] == 'on, "really"\n=1+1'


def test_parquet_has_the_rows_of_the_csv_with_types() -> None:
    table = read_parquet(io.BytesIO(to_parquet(ANSWER))).read_all()
    columns = {name: table[name].to_pylist() for name in table.column_names}
    assert tuple(columns) == COLUMNS
    assert columns["value"] == [1.25, None, None, 3.0]
    assert columns["at"] == [
        START,
        START + timedelta(hours=1, microseconds=1),
        START,
        START - timedelta(days=1),
    ]
    assert columns["device_id"] == [str(DEVICE), str(DEVICE), None, None]
    assert columns["word"] == [None, None, 'on, "really"\n=1+1', None]


def test_an_answer_without_points_is_a_table_without_rows() -> None:
    empty = dataclasses.replace(ANSWER, asked=Span(START, START, []), compared=None)
    assert to_csv(empty).decode().strip() == ",".join(COLUMNS)
    assert read_parquet(io.BytesIO(to_parquet(empty))).read_all().num_rows == 0


def _line_as_json(line: Line) -> dict[str, Any]:
    columns = zip(line.moments, line.values, line.lows, line.highs, strict=True)
    points = [{"at": at, "value": value, "low": low, "high": high} for at, value, low, high in columns]
    return {"device_id": line.device_id, "metric": line.metric, "unit": line.unit, "points": points}


def _span_as_json(span: Span) -> dict[str, Any]:
    away = [{"first_day": days.first_day, "last_day": days.last_day} for days in span.archived]
    lines = [_line_as_json(line) for line in span.lines]
    return {"start": span.start, "end": span.end, "archived": away, "series": lines}


MOMENTS = st.builds(
    lambda microseconds, zone: (datetime(1990, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)).astimezone(
        zone
    ),
    st.integers(0, 3 * 10**15),
    st.sampled_from([UTC, ZoneInfo("Asia/Karachi")]),
)
NUMBERS = st.one_of(st.none(), st.floats(-1e12, 1e12, allow_nan=False))
WORDS = st.text(max_size=8)
POINTS = st.lists(st.tuples(MOMENTS, st.one_of(NUMBERS, WORDS), NUMBERS, NUMBERS), max_size=4)
LINES = st.builds(
    lambda device, metric, points: Line(device, metric, "kW", *([point[i] for point in points] for i in range(4))),
    st.one_of(st.none(), st.uuids()),
    WORDS,
    POINTS,
)


AWAY = st.lists(st.builds(ArchivedDays, st.dates(), st.dates()), max_size=2)


@given(st.lists(LINES, min_size=1, max_size=3), MOMENTS, st.booleans(), AWAY)
def test_json_is_what_the_description_says(
    lines: list[Line], start: datetime, is_compared: bool, away: list[ArchivedDays]
) -> None:
    span = Span(start, start + timedelta(days=1), lines, away)
    answer = Answer(UUID(int=7), "1h", "Asia/Karachi", span, compared=span if is_compared else None)
    frame = {"site_id": answer.site_id, "resolution": "1h", "timezone": "Asia/Karachi"}
    told = json.loads(to_json(answer))
    described = SeriesSet.model_validate(
        {**frame, **_span_as_json(span), "comparison": _span_as_json(span) if is_compared else None}
    )
    assert SeriesSet.model_validate(told) == described
    assert told == json.loads(described.model_dump_json())
    single = dataclasses.replace(answer, compared=None, is_single=True)
    described_single = Series.model_validate({**frame, **_span_as_json(span), **_line_as_json(lines[0])})
    assert json.loads(to_json(single)) == json.loads(described_single.model_dump_json())


def test_what_is_no_number_is_null_in_json() -> None:
    nan = Line(None, "ac_power_kw", "kW", moments=[START], values=[float("nan")], lows=[None], highs=[float("inf")])
    told = json.loads(to_json(dataclasses.replace(ANSWER, asked=Span(START, START, [nan]), compared=None)))
    assert told["series"][0]["points"] == [{"at": "2026-06-01T07:00:00Z", "value": None, "low": None, "high": None}]


def test_a_table_says_which_days_are_in_the_archive() -> None:
    january, may = ArchivedDays(date(2026, 1, 1), date(2026, 1, 31)), ArchivedDays(date(2026, 5, 31), date(2026, 5, 31))
    asked = dataclasses.replace(ANSWER.asked, archived=[january, may])
    away = dataclasses.replace(ANSWER, asked=asked, compared=Span(START, START, [], archived=[may]))
    assert about(away)["archived"] == "2026-01-01/2026-01-31, 2026-05-31/2026-05-31"
    assert "archived" not in about(
        dataclasses.replace(away, asked=dataclasses.replace(asked, archived=[]), compared=None)
    )
    metadata = read_parquet(io.BytesIO(to_parquet(away))).schema.metadata
    assert {key.decode(): value.decode() for key, value in metadata.items()} == about(away)


def test_without_the_extra_parquet_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "CAN_PARQUET", False)
    with pytest.raises(NoParquetError, match=r"solar-hub\[parquet\]"):
        to_parquet(ANSWER)
