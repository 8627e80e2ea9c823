"""What the performance summary says, and that it says what it does not know."""

from dataclasses import replace
from datetime import date

import pytest
from pydantic import ValidationError

from cloud.reports.rules.document import (
    Amount,
    Chart,
    ChartKind,
    Column,
    DataTable,
    KpiCards,
    Notes,
    ReportDocument,
    Series,
)
from cloud.reports.rules.measures import DayEnergy, PerformanceData, performance_ratio, self_consumption_percent
from cloud.reports.rules.performance import build_performance_summary
from tests.unit.reports.sample import month


def _cards(document: ReportDocument) -> dict[str, Amount]:
    return {card.label: card.amount for s in document.sections if isinstance(s, KpiCards) for card in s.cards}


def _card_notes(document: ReportDocument) -> dict[str, str]:
    return {card.label: card.note for s in document.sections if isinstance(s, KpiCards) for card in s.cards}


def _notes(document: ReportDocument) -> dict[str, str]:
    return {note.term: note.text for s in document.sections if isinstance(s, Notes) for note in s.notes}


def _table(document: ReportDocument) -> DataTable:
    return next(s for s in document.sections if isinstance(s, DataTable))


def test_the_figures_are_the_sums_of_the_days() -> None:
    data = month()
    cards = _cards(build_performance_summary(data))
    assert cards["Solar energy"].value == pytest.approx(sum(d.generated_kwh or 0 for d in data.days))
    assert cards["Specific yield"].value == pytest.approx(sum(d.generated_kwh or 0 for d in data.days) / 10)
    assert cards["CO₂ avoided"].value == pytest.approx(sum(d.generated_kwh or 0 for d in data.days) * 0.515)
    assert cards["Performance ratio"].value == pytest.approx(81.0, abs=0.1)
    assert cards["Saved on the bill"].value == 49091.28


def test_every_day_has_its_row_and_a_missing_one_knows_nothing() -> None:
    table = _table(build_performance_summary(month()))
    assert len(table.rows) == 31
    assert table.rows[8][1:] == (None,) * 7
    assert table.total is not None
    assert table.total[0] == "Total"


def test_definitions_period_tariff_and_factor_are_printed() -> None:
    notes = _notes(build_performance_summary(month()))
    assert "2026-10-01 00:00 to 2026-10-31 24:00, Asia/Karachi" in notes["Period"]
    assert "95.1 %" in notes["Data completeness"]
    assert "S.R.O. 279(I)/2026" in notes["Bill and savings"]
    assert "fuel charge adjustment of 2026-08" in notes["Bill and savings"]
    assert "0.515 kg CO₂ per kWh" in notes["CO₂"]
    assert "60 kg CO₂ per tree" in notes["Trees"]


def test_bridged_energy_is_told() -> None:
    data = month()
    bridged = replace(data, days=(replace(data.days[0], bridged_kwh=3.25), *data.days[1:]))
    assert "3.2 kWh of it were counted across gaps" in _notes(build_performance_summary(bridged))["Energy"]


def test_no_bill_says_why() -> None:
    document = build_performance_summary(replace(month(), worth=None, worth_problem="no tariff on record"))
    assert _cards(document)["Saved on the bill"].value is None
    assert _card_notes(document)["Saved on the bill"] == "no tariff on record"
    assert _notes(document)["Bill and savings"] == "No bill: no tariff on record"
    assert document.cover.headline == "Your system made 1,180.6 kWh."


def test_a_bill_of_less_than_a_month_makes_no_headline() -> None:
    data = month(1)
    assert data.worth is not None
    document = build_performance_summary(replace(data, worth=replace(data.worth, is_month=False)))
    assert document.cover.headline == "Your system made 33.1 kWh."
    assert _card_notes(document)["Bill of the period"].startswith("simulated, priced as a whole month")
    assert "not a month" in _notes(document)["Bill and savings"]


def test_one_day_is_a_curve_without_bars_and_table() -> None:
    document = build_performance_summary(month(1))
    charts = [s for s in document.sections if isinstance(s, Chart)]
    assert [chart.kind for chart in charts] == [ChartKind.LINES]
    assert not [s for s in document.sections if isinstance(s, DataTable)]
    assert document.cover.period == "1 October 2026"


def test_a_short_period_shows_four_bars_a_long_one_two() -> None:
    short, long = (
        next(s for s in build_performance_summary(month(n)).sections if isinstance(s, Chart)) for n in (7, 31)
    )
    assert [s.name for s in short.series] == ["Solar", "Used", "Bought", "Sold"]
    assert [s.name for s in long.series] == ["Solar", "Used"]


def test_an_empty_period_is_a_report_that_says_so() -> None:
    data = replace(month(), days=(), curve=(), curve_day=None, worth=None, worth_problem="nothing measured")
    document = build_performance_summary(data)
    assert document.cover.headline == "No solar energy was recorded in this period."
    cards = _cards(document)
    assert cards["Solar energy"].value is None
    assert cards["Data completeness"].value == 0


def test_bare_site() -> None:
    data = replace(month(), capacity_kwp=None, inverter_kw=None, battery_kwh=None, disco="", place="")
    document = build_performance_summary(data)
    assert {fact.label: fact.value for fact in document.cover.facts} == {
        "Place": "not set",
        "Modules": "not set",
        "Inverters": "not set",
        "Distribution company": "not set",
    }
    assert _card_notes(document)["Performance ratio"] == "the DC rating of the system is not set"


@pytest.mark.parametrize(
    ("change", "capacity", "reason"),
    [
        ({}, None, "the DC rating of the system is not set"),
        ({"irradiation_kwh_m2": None}, 10.0, "no irradiation was measured"),
        ({"completeness_percent": 94.0}, 10.0, "data below 95 % complete"),
        ({"irradiation_completeness_percent": None}, 10.0, "data below 95 % complete"),
        ({"irradiation_kwh_m2": 0.0}, 10.0, "no energy or no irradiation in the period"),
        ({"generated_kwh": None}, 10.0, "no energy or no irradiation in the period"),
    ],
)
def test_no_performance_ratio_without_its_grounds(
    change: dict[str, float | None], capacity: float | None, reason: str
) -> None:
    day = DayEnergy(
        date(2026, 10, 1),
        generated_kwh=40.0,
        irradiation_kwh_m2=5.0,
        completeness_percent=100.0,
        irradiation_completeness_percent=100.0,
    )
    assert performance_ratio([day], 10.0) == (0.8, "IEC 61724-1, plane of array")
    assert performance_ratio([replace(day, **change)], capacity) == (None, reason)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("generated", "exported", "percent"),
    [(10.0, 4.0, 60.0), (0.0, 0.0, None), (None, 1.0, None), (10.0, None, None), (1.0, 3.0, 0.0)],
)
def test_self_consumption(generated: float | None, exported: float | None, percent: float | None) -> None:
    assert self_consumption_percent(generated, exported) == percent


def test_the_document_survives_json() -> None:
    document = build_performance_summary(month())
    assert ReportDocument.model_validate_json(document.model_dump_json()) == document


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValidationError, match="1 values for 2 labels"):
        Chart(title="", kind=ChartKind.BARS, unit="", labels=("a", "b"), series=(Series(name="s", values=(1.0,)),))
    with pytest.raises(ValidationError, match="2 cells for 1 columns"):
        DataTable(title="", columns=(Column(title="x"),), rows=((1.0, 2.0),))


def test_units_of_the_sample_are_those_of_a_home() -> None:
    data: PerformanceData = month()
    assert all(d.consumed_kwh is None or 20 < d.consumed_kwh < 40 for d in data.days)
