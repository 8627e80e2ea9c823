"""Shapes of reports: what to report on, how it looks, where it goes."""

from enum import StrEnum
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    EmailStr,
    Field,
    JsonValue,
    StringConstraints,
    model_validator,
)

from cloud.core.fields import Day, Line, Prose
from cloud.core.shapes import Shape
from shared.enums import DeliveryMethod, ReportFormat, ReportStatus, ReportType

HexColour = Annotated[str, StringConstraints(pattern=r"^#[0-9a-fA-F]{6}$")]
HttpsUrl = Annotated[str, StringConstraints(max_length=500, pattern=r"^https?://[^\s/]+(/\S*)?$")]
SectionName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,49}$")]


class DateRange(Shape):
    """Days of a report, both inclusive, and those it is compared with."""

    start_date: Day
    end_date: Day
    comparison_start_date: Day | None = None
    comparison_end_date: Day | None = None

    @model_validator(mode="after")
    def _days_ascend(self) -> Self:
        if self.end_date < self.start_date:
            raise ValueError(
                f"end_date {self.end_date} is before start_date {self.start_date}; both belong to the range"
            )
        if (self.comparison_start_date is None) != (self.comparison_end_date is None):
            raise ValueError("give comparison_start_date and comparison_end_date, or neither")
        if (
            self.comparison_start_date
            and self.comparison_end_date
            and self.comparison_end_date < self.comparison_start_date
        ):
            raise ValueError(
                f"comparison_end_date {self.comparison_end_date} is before comparison_start_date {self.comparison_start_date}"
            )
        return self


class ReportParameters(Shape):
    """`reports.parameters`.

    Attributes:
        site_ids: empty = all sites of the organisation.
        device_ids: empty = all devices of the sites.
        date_range: None in a schedule or template: the period then follows from the schedule.
        include_sections: empty = all.
        custom_filters: keys are the report type's own.
    """

    site_ids: Annotated[tuple[UUID, ...], Field(max_length=1_000)] = ()
    device_ids: Annotated[tuple[UUID, ...], Field(max_length=10_000)] = ()
    date_range: DateRange | None = None
    include_sections: Annotated[tuple[SectionName, ...], Field(max_length=50)] = ()
    grouping: Literal["hourly", "daily", "weekly", "monthly"] = "daily"
    comparison_mode: Literal["previous_period", "year_over_year"] | None = None
    custom_filters: dict[str, JsonValue] = Field(default_factory=dict)


class Recipient(Shape):
    """One reader of a delivered report."""

    email: EmailStr
    name: Line = ""
    type: Literal["to", "cc", "bcc"] = "to"


class DeliveryConfig(Shape):
    """`report_schedules.delivery_config`. Values of `webhook_headers` are secrets: ciphertext in the column, `***` in answers."""

    methods: Annotated[tuple[DeliveryMethod, ...], Field(max_length=4)] = (DeliveryMethod.DOWNLOAD,)
    recipients: Annotated[tuple[Recipient, ...], Field(max_length=200)] = ()
    email_subject: Line | None = None
    email_body: Prose | None = None
    webhook_url: HttpsUrl | None = None
    webhook_headers: dict[str, str] = Field(default_factory=dict)
    storage_path: Annotated[str, Field(max_length=500)] | None = None
    storage_provider: Literal["s3", "local"] | None = None

    @model_validator(mode="after")
    def _methods_have_their_target(self) -> Self:
        if DeliveryMethod.EMAIL in self.methods and not self.recipients:
            raise ValueError("methods has email, but recipients is empty; name at least one")
        if DeliveryMethod.WEBHOOK in self.methods and not self.webhook_url:
            raise ValueError("methods has webhook, but webhook_url is empty")
        if DeliveryMethod.STORAGE in self.methods and not self.storage_path:
            raise ValueError("methods has storage, but storage_path is empty")
        if self.storage_path and ".." in self.storage_path.split("/"):
            raise ValueError(f"storage_path is {self.storage_path!r}; it must stay inside the store, without ..")
        return self


class Branding(Shape):
    """`report_templates.branding`."""

    logo_url: HttpsUrl | None = None
    primary_color: HexColour = "#1a73e8"
    secondary_color: HexColour = "#34a853"
    font_family: Annotated[str, StringConstraints(max_length=50, pattern=r"^[A-Za-z0-9 -]+$")] = "Noto Sans"
    header_text: Line = ""
    footer_text: Line = ""
    show_page_numbers: bool = True
    include_cover_page: bool = True
    cover_page_image: HttpsUrl | None = None


class SectionType(StrEnum):
    """What a section is made of."""

    TEXT_SUMMARY = "text_summary"
    KPI_CARDS = "kpi_cards"
    CHART = "chart"
    DATA_TABLE = "data_table"
    NOTES = "notes"


class TemplateSection(Shape):
    """One entry of `report_templates.sections`; `config` is the section type's own."""

    id: SectionName
    title: Annotated[Line, Field(min_length=1)]
    type: SectionType
    order: Annotated[int, Field(ge=0, le=1_000)]
    enabled: bool = True
    config: dict[str, JsonValue] = Field(default_factory=dict)


def sections_of(entries: list[dict[str, Any]]) -> tuple[TemplateSection, ...]:
    """Check the sections of a template and put them in order.

    Raises:
        pydantic.ValidationError: names each wrong key.
        ValueError: if two sections share an id.
    """
    sections = sorted((TemplateSection.model_validate(entry) for entry in entries), key=lambda section: section.order)
    ids = [section.id for section in sections]
    for section_id in ids:
        if ids.count(section_id) > 1:
            raise ValueError(
                f"section id {section_id!r} occurs {ids.count(section_id)} times; give each section its own"
            )
    return tuple(sections)


class ReportIn(BaseModel):
    """A report to be made.

    Attributes:
        name: how it is listed and its file is called; None = made from site and period.
    """

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "report_type": "performance_summary",
                "format": "pdf",
                "parameters": {
                    "site_ids": ["01980a5c-6f0b-7c3e-9f5e-0d7a4b2f8c12"],
                    "date_range": {"start_date": "2026-10-01", "end_date": "2026-10-31"},
                },
            }
        },
    )

    report_type: ReportType
    format: ReportFormat = ReportFormat.PDF
    name: Annotated[Line, Field(min_length=1)] | None = None
    language: Literal["en", "ur"] = "en"
    parameters: ReportParameters


class ReportOut(BaseModel):
    """A report and how far it is.

    Attributes:
        error: why it failed, or why the last attempt did.
        sha256: of the file, in hex; its ETag.
    """

    model_config = ConfigDict(from_attributes=True, frozen=True)

    id: UUID
    organization_id: UUID
    report_type: ReportType
    name: str
    format: ReportFormat
    language: str
    parameters: dict[str, Any]
    status: ReportStatus
    requested_at: AwareDatetime
    started_at: AwareDatetime | None
    completed_at: AwareDatetime | None
    attempts: int
    error: str | None
    file_size_bytes: int | None
    sha256: str | None
    expires_at: AwareDatetime | None
    version: int
