"""The fields of a case, checked; other names of them are in `names`."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from cloud.billing.case_file.moments import EARLIEST, LATEST, day_of_text, month_of_text
from cloud.billing.case_file.names import ALIASES, MONTHLY, canonical
from cloud.billing.case_file.problems import CaseError
from cloud.billing.rules.model import AdjustmentKind
from cloud.billing.schemas.tariffs import TariffRates
from cloud.core.fields import Name, Prose, TimeZoneName
from cloud.core.shapes import DecimalText

MOST_KWH = 1_000_000_000
MOST_INTERVALS = 36_000
"""A year and a little of quarter-hours."""


def _number(value: Any) -> Any:  # noqa: ANN401 -- whatever JSON brought
    if isinstance(value, bool):
        raise ValueError("not a number")  # noqa: TRY004 -- pydantic turns a ValueError into a wrong field
    return value


_PHASES = {"1": 1, "one": 1, "single": 1, "3": 3, "three": 3}


def _phases(value: Any) -> Any:  # noqa: ANN401 -- whatever JSON brought
    """`single`, `1-phase`, `three phase`, 3.0; what says neither 1 nor 3 is left for the field to refuse."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        return str(value)
    word = str(value).strip().lower().removesuffix("phase").rstrip(" -_")
    return _PHASES.get(word.removesuffix(".0"), value)


_EXAMPLE_NUMBER = WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string", "pattern": r"^-?\d+(\.\d+)?$"}]})
Number = Annotated[DecimalText, BeforeValidator(_number), Field(max_digits=30, decimal_places=15), _EXAMPLE_NUMBER]
"""A JSON number or the same as text; digits are kept as they are written."""
Amount = Annotated[Number, Field(ge=0, le=MOST_KWH)]
Percent = Annotated[Number, Field(ge=0, le=100)]
CaseDay = Annotated[
    date,
    BeforeValidator(day_of_text),
    Field(ge=EARLIEST, le=LATEST),
    WithJsonSchema({"type": "string", "examples": ["2026-06-23", "23-Jun-2026"]}),
]
CaseMonth = Annotated[
    str, BeforeValidator(month_of_text), WithJsonSchema({"type": "string", "examples": ["2026-06", "Jun-2026"]})
]
MonthlyAmounts = Annotated[dict[CaseMonth, Amount], Field(max_length=60)]
MonthlyRates = Annotated[dict[CaseMonth, Number], Field(max_length=60)]
Text = Name
ByPeriod = Annotated[dict[Name, Amount], Field(max_length=500)]
"""One line, 1 to 255 characters that an answer can show."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class InlineTariff(_Strict):
    """A tariff written into the case; its fields are those of `tariff_plans`.

    Attributes:
        rates: as in `tariff_plans.rates`.
        name: how the bill names it.
        category: decides which dated records are for it; without it none that names categories.
        source: where the rates come from.
        status: how far they can be trusted.
        supports_tou: whether it may be priced by time of use; without it: when the case gives peak units, or the rates have no other price.
        disco_provider: the same as the case's.
        effective_from: first day in force.
        effective_to: last day in force.
        supports_net_metering: taken over, without effect on the amounts.
    """

    rates: TariffRates
    name: Text = "tariff of the case"
    category: Text | None = None
    source: Text = "given in the case"
    status: Literal["verified", "derived", "estimated"] = "derived"
    supports_tou: bool | None = None
    disco_provider: Text | None = None
    effective_from: CaseDay | None = None
    effective_to: CaseDay | None = None
    supports_net_metering: bool | None = None


class CaseBand(_Strict):
    """One step of a banded amount: for values up to `top`, `amount` + `percent` per cent of what is above `above`."""

    top: Number | None = None
    amount: Number = Decimal(0)
    percent: Number = Decimal(0)
    above: Number = Decimal(0)


class CaseAdjustment(_Strict):
    """A dated record, as in `tariffs/adjustments.toml`; it takes the place of records of its kind on the days that it covers."""

    kind: AdjustmentKind
    effective_from: CaseDay
    effective_to: CaseDay | None = None
    rate: Number | None = None
    bands: tuple[CaseBand, ...] = ()
    source: Text = "given in the case"
    status: Literal["verified", "derived", "estimated"] = "derived"
    disco_providers: tuple[Text, ...] = ()
    provinces: tuple[Text, ...] = ()
    categories: tuple[Text, ...] = ()
    excluded_categories: tuple[Text, ...] = ()


class RatesOverride(_Strict):
    """Rates of this bill in short: they take the place of the dated records.

    Attributes:
        fca: PKR/kWh; by month of consumption, or one number for the month that this bill charges.
        qta: PKR/kWh; by calendar month, or one number for the whole period.
        phl: debt service surcharge, PKR/kWh; as `qta`.
        duty_percent: electricity duty.
        gst_percent: general sales tax.
        municipal_charge: PKR on this bill.
        tv_fee: PKR on this bill.
        net_metering_rate: PKR per surplus kWh.
        net_billing_rate: PKR per exported kWh.
    """

    fca: MonthlyRates | Number | None = None
    qta: MonthlyRates | Number | None = None
    phl: MonthlyRates | Number | None = None
    duty_percent: Percent | None = None
    gst_percent: Percent | None = None
    municipal_charge: Amount | None = None
    tv_fee: Amount | None = None
    net_metering_rate: Amount | None = None
    net_billing_rate: Amount | None = None


class CaseInterval(_Strict):
    """Energy of one step, kWh; null = not measured. The step follows from the distance to the next one."""

    timestamp: Text
    import_kwh: Amount | None = None
    export_kwh: Amount | None = None
    consumption_kwh: Amount | None = None
    generation_kwh: Amount | None = None


EXAMPLE: Mapping[str, Any] = {
    "note": "K-Electric, un-protected home, bill of June 2026: PKR 14,096.48",
    "disco_provider": "kelectric",
    "category": "A-1(a)",
    "sanctioned_load_kw": 4,
    "phases": 1,
    "province": "sindh",
    "period_start": "2026-05-24",
    "period_end": "2026-06-23",
    "units": 289,
    "history": {"2026-04": 216},
    "export_scheme": "none",
    "active_taxpayer": True,
}
"""A case to begin with: a real K-Electric bill of June 2026."""


def _schema_extra(schema: dict[str, Any]) -> None:
    schema["example"] = dict(EXAMPLE)
    # The other names are part of the format: a checker of JSON Schema must let them pass.
    properties = schema["properties"]
    for field, others in ALIASES.items():
        properties.update({name: {**properties[field], "description": f"The same as {field}."} for name in others})
    tariff = properties["tariff"]
    properties.pop("tariff_name")
    code = {"type": "string", "description": "Code of a tariff: read as category is."}
    for name in ("tariff", *ALIASES["tariff"]):
        properties[name] = {"anyOf": [code, *tariff["anyOf"]], "description": tariff.get("description", "")}
    number = {"anyOf": [{"type": "number"}, {"type": "string"}]}
    parts = {"type": "object", "properties": dict.fromkeys(("peak", "off_peak", "total"), number)}
    for name in ("units", *ALIASES["units"]):
        properties[name] = {**properties[name], "anyOf": [*properties[name]["anyOf"], parts]}
    entries = {"type": "array", "items": {"type": "object", "required": ["month"]}}
    for name in MONTHLY:
        for other in (name, *ALIASES[name]):
            plain = properties[other]
            properties[other] = {"anyOf": [plain, entries], "description": plain["description"]}
    day = {"type": "string"}
    properties["period"] = {
        "type": "object",
        "properties": {"start": day, "end": day},
        "additionalProperties": False,
        "description": "Short for period_start and period_end.",
    }


def _describe(text: str, **rules: Any) -> Any:  # noqa: ANN401 -- pydantic's marker
    return Field(default=None, description=text, **rules)


class CaseFile(_Strict):
    """One bill to be priced. Energy in kWh, power in kW, money in PKR; days are inclusive."""

    model_config = ConfigDict(json_schema_extra=_schema_extra, title="BillCase")

    disco_provider: Text | None = _describe("Company: lesco, kelectric (K-Electric, KE), …")
    category: Text | None = _describe(
        "Tariff category: our code (residential_unprotected) or the official one (A-2(c))."
    )
    tariff_name: Text | None = _describe("A tariff's code; read as category is.")
    tariff: InlineTariff | None = _describe("A tariff's code, or the tariff itself.")
    rates: TariffRates | None = _describe("Short for a tariff that is nothing but its rates, as in tariff_plans.rates.")
    use_dated_adjustments: bool | None = _describe(
        "Whether the dated records on file (FCA, QTA, surcharge, duty, sales tax …) are used: by default with a tariff on file, "
        "not with one that is written into the case."
    )
    sanctioned_load_kw: Amount | None = _describe("From the connection, as printed on the bill.")
    installed_capacity_kw: Amount | None = _describe(
        "Of the solar system: net billing allows as much as the sanctioned load."
    )
    phases: Annotated[Literal[1, 3], BeforeValidator(_phases)] | None = _describe("Phases of the connection.")
    province: Text | None = _describe("Decides the electricity duty; without it from the company's area.")
    period_start: CaseDay | None = _describe("First day: the day after the previous reading.")
    period_end: CaseDay | None = _describe("Last day: the day of the reading.")
    previous_reading_date: CaseDay | None = _describe("Instead of period_start: the day before it.")
    reading_date: CaseDay | None = _describe("Instead of period_end.")
    bill_month: CaseMonth | None = _describe(
        "The bill's month; without it that of the last day. Alone: the calendar month."
    )
    units: Amount | None = _describe("kWh taken from the grid.")
    peak_units: Amount | None = _describe("Part of units in peak hours.")
    off_peak_units: Amount | None = _describe("Part of units outside peak hours.")
    interval_csv: str | None = _describe(
        "Path of a CSV file beside the case, or its text (with line breaks).", min_length=1
    )
    intervals: tuple[CaseInterval, ...] | None = _describe("The same rows inline.", max_length=MOST_INTERVALS)
    time_zone: TimeZoneName = Field(
        default="Asia/Karachi", description="IANA zone of times without an offset, and of days."
    )
    max_demand_kw: Amount | None = _describe("Highest demand of the period (MDI).")
    demand_history_kw: MonthlyAmounts = Field(default_factory=dict, description="MDI of earlier months.")
    history: MonthlyAmounts = Field(
        default_factory=dict, description="kWh billed for earlier months: FCA, protected status."
    )
    history_without_solar: MonthlyAmounts = Field(
        default_factory=dict, description="The same, had everything been bought; without it as history."
    )
    schedule_units: ByPeriod = Field(
        default_factory=dict,
        description="kWh by period of a tariff by month and hour: peak, peak/2 (its second tier), peak/export, peak/brought.",
    )
    schedule_demand_kw: ByPeriod = Field(
        default_factory=dict, description="Highest demand by demand period of such a tariff."
    )
    exported_kwh: Amount = Field(default=Decimal(0), description="kWh given to the grid.")
    exported_peak_kwh: Amount | None = _describe("Part of exported_kwh in peak hours; without it 0.")
    consumed_kwh: Amount | None = _describe("kWh used on the site; without it units + generated - exported.")
    consumed_peak_kwh: Amount | None = _describe("Part of consumed_kwh in peak hours; without it peak_units.")
    generated_kwh: Amount | None = _describe("kWh of solar energy.")
    export_scheme: Text | None = _describe("none, net_metering_2015 or net_billing_2026.")
    contract_date: CaseDay | None = _describe(
        "Of the net metering contract: decides the scheme when export_scheme is absent."
    )
    surplus_kwh_brought_forward: Amount = Field(
        default=Decimal(0), description="Net metering: surplus of earlier bills."
    )
    surplus_peak_kwh_brought_forward: Amount = Field(default=Decimal(0), description="The same, of peak hours.")
    active_taxpayer: bool | Text = Field(
        default=True,
        description='Whether on the active taxpayers\' list; also "active", "inactive", "filer", "non_filer".',
    )
    protected: bool | None = _describe("What the bill says about a home; without it the history decides.")
    prorated: bool = Field(default=False, description="First or last bill of a connection: monthly amounts by days.")
    adjustments: tuple[CaseAdjustment, ...] = Field(
        default=(), max_length=200, description="Dated records of this case."
    )
    rates_override: RatesOverride = Field(default_factory=RatesOverride, description="The same in short.")
    co2_kg_per_kwh: Annotated[Number, Field(ge=0, le=5)] = Decimal("0.515")
    co2_kg_per_tree: Annotated[Number, Field(gt=0, le=10_000)] = Decimal(60)
    note: Prose | None = _describe("For people; not part of the bill.")

    @model_validator(mode="before")
    @classmethod
    def _under_its_own_names(cls, value: Any) -> Any:  # noqa: ANN401 -- whatever JSON brought
        if not isinstance(value, dict):
            return value
        try:
            return canonical(value, frozenset(cls.model_fields))
        except CaseError as error:
            raise ValidationError.from_exception_data(cls.__name__, [_as_detail(error, value)]) from error

    @property
    def inline_tariff(self) -> InlineTariff | None:
        """The tariff that is written into the case; None when it is one on file."""
        return InlineTariff(rates=self.rates) if self.rates is not None else self.tariff

    @property
    def has_own_schedule(self) -> bool:
        """Whether the tariff that is written into the case is one by month and hour."""
        inline = self.inline_tariff
        return inline is not None and inline.rates.schedule is not None

    @property
    def csv_file(self) -> str | None:
        """Name of a file with the intervals; None when the text itself is there, or nothing."""
        named = self.interval_csv
        return None if named is None or "\n" in named else named

    def given(self, *names: str) -> bool:
        """Whether the case itself says any of these."""
        return not self.model_fields_set.isdisjoint(names)


def _as_detail(error: CaseError, value: dict[str, Any]) -> InitErrorDetails:
    # The message is put in as a value: a brace inside it would be read as a place for one.
    kind = PydanticCustomError("case", "{reason}", {"reason": str(error)})
    return InitErrorDetails(type=kind, loc=tuple(error.field.split(".")), input=value.get(error.field))
