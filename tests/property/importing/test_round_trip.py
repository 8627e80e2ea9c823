"""What is written as CSV under a mapping comes back, whatever the layout, the signs of numbers and the zone."""

import csv
import io
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from hypothesis import example, given
from hypothesis import strategies as st

from tests.unit.importing.read import INVERTER, METER, read

ZONES = ("Asia/Karachi", "Asia/Kathmandu", "Europe/London", "America/St_Johns", "Australia/Lord_Howe", "UTC")
METRICS = ("ac_power_kw", "energy_total_kwh", "inverter_temperature_c")
NAMES = {INVERTER.id: "WR 1", METER.id: 'Zähler, "neu"'}


@dataclass(frozen=True)
class Style:
    zone: str
    delimiter: str
    decimal: str
    is_long: bool
    watts: bool


styles = st.builds(
    Style,
    zone=st.sampled_from(ZONES),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
    decimal=st.sampled_from([".", ","]),
    is_long=st.booleans(),
    watts=st.booleans(),
)
numbers = st.none() | st.integers(-(10**9), 10**9).map(lambda milli: milli / 1000)
moments = st.lists(st.integers(0, 365 * 24 * 12), min_size=1, max_size=30, unique=True).map(sorted)


def written(value: float | None, style: Style, metric: str) -> str:
    if value is None:
        return "-"
    milli = round(value * 1000)
    if style.watts and metric == "ac_power_kw":
        return str(milli)
    return f"{'-' if milli < 0 else ''}{abs(milli) // 1000}{style.decimal}{abs(milli) % 1000:03}"


def mapping_of(style: Style) -> str:
    long = '[long]\nmetric_column = "what"\nvalue_column = "value"\n' if style.is_long else ""
    values = "".join(
        f'[[values]]\nsource = "{metric.upper()}"\nmetric = "{metric}"\n'
        + ('unit = "W"\n' if style.watts and metric == "ac_power_kw" else "")
        for metric in METRICS
    )
    return (
        f'[file]\ndelimiter = "{style.delimiter}"\ndecimal = "{style.decimal}"\n'
        f'[time]\ncolumn = "when"\nformat = "%Y-%m-%d %H:%M"\nzone = "{style.zone}"\nfold = "in_order"\n'
        '[device]\ncolumn = "who"\nnames = { "WR 1" = "INV-1", \'Zähler, "neu"\' = "Meter" }\n' + long + values
    )


def file_of(rows: list[tuple[datetime, str, dict[str, float | None]]], style: Style) -> str:
    text = io.StringIO()
    write = csv.writer(text, delimiter=style.delimiter)
    write.writerow(["when", "who", "what", "value"] if style.is_long else ["who", *map(str.upper, METRICS), "when"])
    for at, who, values in rows:
        when = at.astimezone(ZoneInfo(style.zone)).strftime("%Y-%m-%d %H:%M")
        cells = {metric: written(value, style, metric) for metric, value in values.items()}
        if style.is_long:
            write.writerows([when, who, metric.upper(), cell] for metric, cell in cells.items())
        else:
            write.writerow([who, *cells.values(), when])
    return text.getvalue()


@given(style=styles, at=moments, data=st.data())
def test_what_was_written_comes_back(style: Style, at: list[int], data: st.DataObject) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    expected = {
        (device_id, start + timedelta(minutes=5 * slot)): {metric: data.draw(numbers) for metric in METRICS}
        for slot in at
        for device_id in NAMES
    }
    rows = [(moment, NAMES[device_id], values) for (device_id, moment), values in expected.items()]
    with tempfile.TemporaryDirectory() as folder:
        found, rejected, _ = read(Path(folder), mapping_of(style), file_of(rows, style))
    # Of an hour shown twice only a file with rows in its first half can tell the second: any other reading may be an hour early.
    assert len(found) + len(rejected) == len(expected)
    by_key = {(reading.device_id, reading.at): reading.values for reading in found}
    twice = {key for key in expected if _is_shown_twice(key[1], style.zone)}
    assert {key: values for key, values in by_key.items() if key in expected and key not in twice} == {
        key: values for key, values in expected.items() if key not in twice
    }


def _is_shown_twice(at: datetime, zone: str) -> bool:
    local = at.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    return len({local.replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC) for fold in (0, 1)}) == 2


@given(zone=st.sampled_from(ZONES), first=st.integers(0, 365 * 24 * 4 - 400))
@example(zone="Europe/London", first=297 * 96 - 8)  # through the end of summer time
@example(zone="Australia/Lord_Howe", first=94 * 96 - 60)
def test_a_gapless_file_comes_back_through_every_change_of_the_clock(zone: str, first: int) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC) + first * timedelta(minutes=15)
    at = [start + i * timedelta(minutes=15) for i in range(400)]
    # A file that begins in the middle of a repeated hour leaves open which of the two it is.
    while _is_shown_twice(at[0], zone):
        at.pop(0)
    style = Style(zone, ",", ".", is_long=False, watts=True)
    rows: list[tuple[datetime, str, dict[str, float | None]]] = [
        (moment, "WR 1", {metric: float(i) for metric in METRICS}) for i, moment in enumerate(at)
    ]
    with tempfile.TemporaryDirectory() as folder:
        found, rejected, _ = read(Path(folder), mapping_of(style), file_of(rows, style))
    assert rejected == []
    assert [reading.at for reading in found] == at
