"""The performance summary: how a site did in a period, and what that was worth."""

from collections.abc import Sequence

from cloud.reports.rules.document import (
    Amount,
    Chart,
    ChartKind,
    Column,
    Cover,
    DataTable,
    Day,
    Fact,
    KpiCard,
    KpiCards,
    Note,
    Notes,
    ReportDocument,
    Section,
    Series,
    TextSummary,
    Tone,
)
from cloud.reports.rules.measures import (
    PR_COMPLETENESS_PERCENT,
    DayEnergy,
    PerformanceData,
    Totals,
    all_days,
    performance_ratio,
    self_consumption_percent,
    share_percent,
    totals_of,
)
from cloud.reports.rules.words import day as day_words
from cloud.reports.rules.words import number
from cloud.reports.rules.words import period as period_words

GOOD_COMPLETENESS_PERCENT = 99.0
_BAR_DAYS = 14
"""A longer period shows two bars a day, not four."""
_TABLE_DAYS = 62
"""A longer period gets its bars and no table row per day."""


def _card(
    label: str, value: float | None, unit: str, *, decimals: int = 0, note: str = "", tone: Tone = Tone.NEUTRAL
) -> KpiCard:
    return KpiCard(label=label, amount=Amount(value=value, unit=unit, decimals=decimals), note=note, tone=tone)


def _energy_cards(totals: Totals) -> KpiCards:
    self_used = self_consumption_percent(totals.generated, totals.exported)
    sufficiency = None
    if totals.consumed is not None and totals.imported is not None:
        sufficiency = share_percent(totals.consumed - totals.imported, totals.consumed)
    return KpiCards(
        title="Energy",
        cards=(
            _card(
                "Solar energy",
                totals.generated,
                "kWh",
                decimals=1,
                tone=Tone.GENERATED,
                note="" if self_used is None else f"{self_used:.0f} % used on the site",
            ),
            _card(
                "Used by the site",
                totals.consumed,
                "kWh",
                decimals=1,
                tone=Tone.CONSUMED,
                note="" if sufficiency is None else f"{sufficiency:.0f} % without the grid",
            ),
            _card("Bought from the grid", totals.imported, "kWh", decimals=1, tone=Tone.IMPORTED),
            _card("Sold to the grid", totals.exported, "kWh", decimals=1, tone=Tone.EXPORTED),
        ),
    )


def _worth_cards(data: PerformanceData, totals: Totals) -> KpiCards:
    co2_kg = None if totals.generated is None else totals.generated * data.co2.value
    trees = None if co2_kg is None else co2_kg / data.tree.value
    worth = data.worth
    pending = f"; not yet in it: {', '.join(worth.pending)}" if worth and worth.pending else ""
    basis = "simulated" if worth is None or worth.is_month else "simulated, priced as a whole month"
    return KpiCards(
        title="What it was worth",
        cards=(
            _card(
                "Saved on the bill",
                float(worth.savings_pkr) if worth else None,
                "PKR",
                tone=Tone.MONEY,
                note=f"bill without solar PKR {worth.bill_without_solar_pkr:,.0f}" if worth else data.worth_problem,
            ),
            _card(
                "Bill of the period",
                float(worth.bill_with_solar_pkr) if worth else None,
                "PKR",
                tone=Tone.MONEY,
                note=f"{basis}{pending}" if worth else "",
            ),
            _card("CO₂ avoided", co2_kg, "kg", decimals=1, tone=Tone.NATURE, note=f"{data.co2.value:g} kg per kWh"),
            _card("Like trees grown", trees, "trees", decimals=1, tone=Tone.NATURE, note="seedlings over ten years"),
        ),
    )


def _plant_cards(data: PerformanceData, days: Sequence[DayEnergy], totals: Totals) -> KpiCards:
    ratio, why = performance_ratio(days, data.capacity_kwp)
    specific = totals.generated / data.capacity_kwp if totals.generated is not None and data.capacity_kwp else None
    return KpiCards(
        title="How well it ran",
        cards=(
            _card(
                "Specific yield",
                specific,
                "kWh/kWp",
                decimals=2,
                tone=Tone.GENERATED,
                note="solar energy per kWp installed",
            ),
            _card("Performance ratio", None if ratio is None else ratio * 100, "%", decimals=1, note=why),
            _card(
                "Highest power", totals.peak_kw, "kW", decimals=2, tone=Tone.GENERATED, note="of the inverters together"
            ),
            _card(
                "Data completeness",
                totals.percent,
                "%",
                decimals=1,
                tone=Tone.NEUTRAL if totals.percent >= PR_COMPLETENESS_PERCENT else Tone.WARNING,
                note="readings received of those expected",
            ),
        ),
    )


def _bars(days: Sequence[DayEnergy]) -> Chart:
    series = (
        Series(name="Solar", tone=Tone.GENERATED, values=tuple(day.generated_kwh for day in days)),
        Series(name="Used", tone=Tone.CONSUMED, values=tuple(day.consumed_kwh for day in days)),
        Series(name="Bought", tone=Tone.IMPORTED, values=tuple(day.imported_kwh for day in days)),
        Series(name="Sold", tone=Tone.EXPORTED, values=tuple(day.exported_kwh for day in days)),
    )
    return Chart(
        title="Energy by day",
        kind=ChartKind.BARS,
        unit="kWh",
        labels=tuple(str(day.day.day) if len(days) <= _TABLE_DAYS else f"{day.day:%d %b}" for day in days),
        x_title="day",
        series=series if len(days) <= _BAR_DAYS else series[:2],
    )


def _curve(data: PerformanceData) -> Chart | None:
    points = data.curve
    if not points or data.curve_day is None:
        return None
    several = data.last_day > data.first_day
    rows = (
        ("Solar", Tone.GENERATED, tuple(point.generated_kw for point in points)),
        ("Load", Tone.CONSUMED, tuple(point.load_kw for point in points)),
        ("Grid", Tone.IMPORTED, tuple(point.grid_kw for point in points)),
        ("Battery", Tone.BATTERY, tuple(point.battery_kw for point in points)),
    )
    return Chart(
        title=f"Power on {day_words(data.curve_day)}" + (", the day with the most solar energy" if several else ""),
        kind=ChartKind.LINES,
        unit="kW",
        labels=tuple(f"{point.at:%H:%M}" for point in points),
        label_step=8,
        x_title="local time",
        series=tuple(
            Series(name=name, tone=tone, values=values)
            for name, tone, values in rows
            if any(v is not None for v in values)
        ),
        note="Means of quarter-hours. Grid above zero is bought, below is sold; battery above zero is discharging.",
    )


def _table(data: PerformanceData, days: Sequence[DayEnergy], totals: Totals) -> DataTable:
    specific = data.capacity_kwp or None

    def row(day: DayEnergy) -> tuple[Day | float | None, ...]:
        per_kwp = day.generated_kwh / specific if specific and day.generated_kwh is not None else None
        return (
            Day(day=day.day),
            day.generated_kwh,
            day.consumed_kwh,
            day.imported_kwh,
            day.exported_kwh,
            day.peak_power_kw,
            per_kwp,
            day.completeness_percent,
        )

    total_per_kwp = totals.generated / specific if specific and totals.generated is not None else None
    return DataTable(
        title="Day by day",
        columns=(
            Column(title="Day", numeric=False, weight=1.1),
            Column(title="Solar", unit="kWh", decimals=2),
            Column(title="Used", unit="kWh", decimals=2),
            Column(title="Bought", unit="kWh", decimals=2),
            Column(title="Sold", unit="kWh", decimals=2),
            Column(title="Highest", unit="kW", decimals=2),
            Column(title="Yield", unit="kWh/kWp", decimals=2),
            Column(title="Data", unit="%", decimals=1),
        ),
        rows=tuple(row(day) for day in days),
        total=(
            "Total",
            totals.generated,
            totals.consumed,
            totals.imported,
            totals.exported,
            totals.peak_kw,
            total_per_kwp,
            totals.percent,
        )
        if len(days) > 1
        else None,
    )


def _notes(data: PerformanceData, totals: Totals) -> Notes:
    span = f"{data.first_day:%Y-%m-%d} 00:00 to {data.last_day:%Y-%m-%d} 24:00, {data.timezone}."
    bridged = (
        f" {number(totals.bridged, decimals=1)} kWh of it were counted across gaps in the readings."
        if totals.bridged
        else ""
    )
    bill = (
        f"{data.worth.tariff} ({data.worth.source}). Savings are the bill had everything been bought, less the bill with solar; "
        "income from exports is inside."
        + ("" if data.worth.is_month else " The period is not a month, but slabs and fixed charges are those of one.")
        + (f" Not notified yet and not included: {', '.join(data.worth.pending)}." if data.worth.pending else "")
        if data.worth
        else f"No bill: {data.worth_problem}"
    )
    return Notes(
        notes=(
            Note(term="Period", text=span + " Both days belong to it."),
            Note(term="Energy", text="From the devices' lifetime counters, in quarter-hours of the site." + bridged),
            Note(
                term="Data completeness",
                text=f"{number(totals.percent, decimals=1)} % of the readings expected from the polling interval arrived; "
                "a day without data counts 0.",
            ),
            Note(
                term="Specific yield",
                text="Solar energy at the inverters' output divided by the DC rating at standard test conditions (IEC 61724-1).",
            ),
            Note(
                term="Performance ratio",
                text="Specific yield divided by the irradiation on the plane of the modules over 1 kW/m²; shown only when both "
                f"are at least {PR_COMPLETENESS_PERCENT:.0f} % complete.",
            ),
            Note(term="Bill and savings", text=bill),
            Note(term="CO₂", text=f"{data.co2.value:g} {data.co2.unit}: {data.co2.source}."),
            Note(term="Trees", text=f"{data.tree.value:g} {data.tree.unit}: {data.tree.source}."),
        )
    )


def _headline(data: PerformanceData, totals: Totals) -> str:
    if totals.generated is None:
        return "No solar energy was recorded in this period."
    made = f"Your system made {number(totals.generated, decimals=1)} kWh"
    if data.worth is not None and data.worth.is_month and data.worth.savings_pkr > 0:
        return f"{made} and saved PKR {data.worth.savings_pkr:,.0f} on the electricity bill."
    return f"{made}."


def _facts(data: PerformanceData) -> tuple[Fact, ...]:
    def kw(value: float | None, unit: str) -> str:
        return "not set" if value is None else f"{value:g} {unit}"

    battery = () if data.battery_kwh is None else (Fact(label="Battery", value=kw(data.battery_kwh, "kWh")),)
    return (
        Fact(label="Place", value=data.place or "not set"),
        Fact(label="Modules", value=kw(data.capacity_kwp, "kWp")),
        Fact(label="Inverters", value=kw(data.inverter_kw, "kW")),
        *battery,
        Fact(label="Distribution company", value=data.disco or "not set"),
    )


def _gap_summary(days: Sequence[DayEnergy]) -> tuple[Section, ...]:
    thin = [day for day in days if (day.completeness_percent or 0.0) < GOOD_COMPLETENESS_PERCENT]
    if not thin:
        return ()
    empty = sum(1 for day in thin if not day.completeness_percent)
    words = f"{len(thin)} of {len(days)} days are less than {GOOD_COMPLETENESS_PERCENT:.0f} % complete"
    none = f", {empty} of them without any reading" if empty else ""
    return (TextSummary(paragraphs=(f"{words}{none}: sums of these days may be low.",)),)


def build_performance_summary(data: PerformanceData) -> ReportDocument:
    """Build the document from the site's days, a power curve and the bill."""
    days = all_days(data)
    totals = totals_of(days)
    curve = _curve(data)
    sections: list[Section] = [
        _energy_cards(totals),
        _worth_cards(data, totals),
        _plant_cards(data, days, totals),
        *_gap_summary(days),
    ]
    if len(days) > 1:
        sections.append(_bars(days))
    if curve is not None:
        sections.append(curve)
    if 1 < len(days) <= _TABLE_DAYS:
        sections.append(_table(data, days, totals))
    sections.append(_notes(data, totals))
    return ReportDocument(
        created_at=data.created_at,
        timezone=data.timezone,
        style=data.style,
        cover=Cover(
            title="Performance summary",
            subject=data.site,
            organization=data.organization,
            period=period_words(data.first_day, data.last_day),
            headline=_headline(data, totals),
            facts=_facts(data),
        ),
        sections=tuple(sections),
    )
