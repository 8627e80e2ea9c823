"""`GET /sites/{site_id}/telemetry`: series as JSON, CSV or Parquet."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import Depends, Header, Query, Response
from pydantic import AwareDatetime, StringConstraints

from cloud.core.errors import CloudError, FieldProblem, ValidationFailedError
from cloud.telemetry.deps import ReadableSite, SiteReads
from cloud.telemetry.render import CAN_PARQUET, NoParquetError, about, to_csv, to_json, to_parquet
from cloud.telemetry.rules.forms import preferred_form
from cloud.telemetry.rules.series import (
    MAX_SERIES,
    MAX_SPAN,
    Comparison,
    NoEarlierTimeError,
    Resolution,
    earlier_window,
    window_of_length,
)
from cloud.telemetry.schemas import Series, SeriesSet
from cloud.telemetry.service import reading
from cloud.telemetry.service.reading import Question
from cloud.web.deps import Now
from cloud.web.routing import api_router
from shared.periods import Window, zone_of

router = api_router("/sites/{site_id}", tags=["telemetry"])

Metric = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class Form(StrEnum):
    """How an answer is written."""

    JSON = "application/json"
    CSV = "text/csv"
    PARQUET = "application/vnd.apache.parquet"


class NotAcceptableError(CloudError):
    """The answer cannot be written in a form that the request accepts."""

    status = 406
    code = "not_acceptable"
    title = "No such form"


@dataclass(frozen=True, slots=True)
class _Asked:
    """The query of a request."""

    metrics: tuple[str, ...]
    device_ids: tuple[UUID, ...]
    start: datetime | None
    end: datetime | None
    resolution: Resolution
    compare: Comparison | None
    compare_from: datetime | None

    def question(self, zone: ZoneInfo, now: datetime) -> Question:
        """What is asked, by the clock of a site.

        Raises:
            ValidationFailedError: if the times do not make a stretch of time.
        """
        until = self.end or now
        window = _checked(self.start or until - timedelta(days=1), until)
        if self.compare is not None and self.compare_from is not None:
            raise _wrong("compare_from", "cannot be combined with `compare`; send one of them")
        compared: Window | None = None
        try:
            if self.compare is not None:
                compared = earlier_window(self.compare, window, zone)
            elif self.compare_from is not None:
                compared = window_of_length(window, self.compare_from, zone)
        except NoEarlierTimeError as error:
            raise _wrong("compare" if self.compare else "compare_from", str(error)) from error
        return Question(self.metrics, self.device_ids, window, self.resolution, compared)


async def _asked(
    *,
    metric: Annotated[
        list[Metric],
        Query(
            min_length=1,
            max_length=MAX_SERIES,
            description="A gauge of the catalogue (`ac_power_kw`, `grid_power_kw` …), one channel of it (`dc_voltage_v.pv1`) or an"
            " energy (`energy_generated_kwh` …); may be repeated.",
        ),
    ],
    start: Annotated[
        AwareDatetime | None, Query(alias="from", description="First moment; a day before `to` if absent.")
    ] = None,
    end: Annotated[AwareDatetime | None, Query(alias="to", description="First moment after; now if absent.")] = None,
    resolution: Annotated[Resolution, Query(description="`raw` needs a device.")] = Resolution.AUTO,
    device_id: Annotated[
        list[UUID] | None,
        Query(max_length=MAX_SERIES, description="Devices instead of the whole site; may be repeated."),
    ] = None,
    compare: Annotated[
        Comparison | None, Query(description="Also answer for the time just before, or for the year before.")
    ] = None,
    compare_from: Annotated[
        AwareDatetime | None, Query(description="Also answer for an equally long time that begins here.")
    ] = None,
) -> _Asked:
    devices = tuple(dict.fromkeys(device_id or ()))
    metrics = tuple(dict.fromkeys(metric))
    return _Asked(metrics, devices, start, end, resolution, compare=compare, compare_from=compare_from)


def _header(description: str) -> dict[str, Any]:
    return {
        "description": f"{description} Of tables only: JSON says it itself, Parquet in its metadata too.",
        "schema": {"type": "string"},
    }


_ABOUT = {
    "Telemetry-Resolution": _header("The resolution taken."),
    "Telemetry-Timezone": _header("By whose clock days and months begin."),
    "Telemetry-Archived": _header(
        "UTC days, first/last, whose values may be missing only because they are in the archive; absent if there are none."
    ),
}


@router.get(
    "/telemetry",
    response_model=Series | SeriesSet,
    responses={
        200: {
            "description": "One metric of the site or of one device: a `Series`; several, or a comparison: a `SeriesSet`. As a"
            " table: one row for each point, with the columns period, device_id, metric, unit, at, value, low, high, word.",
            "headers": _ABOUT,
            "content": {
                Form.CSV: {"schema": {"type": "string"}},
                Form.PARQUET: {"schema": {"type": "string", "format": "binary"}},
            },
        }
    },
)
async def read_series(
    site: ReadableSite,
    conn: SiteReads,
    asked: Annotated[_Asked, Depends(_asked)],
    now: Now,
    *,
    accept: Annotated[
        str | None, Header(description="JSON, or a table: `text/csv`, `application/vnd.apache.parquet`.")
    ] = None,
) -> Any:  # noqa: ANN401 -- a response whose form the request chooses; `response_model` describes the JSON
    """Metrics over time: at most 5,000 points each, null where nothing was measured; the answer says which resolution it took.

    All series of an answer have the same resolution. A channel's hours and days are computed from raw readings, for as long as
    those are kept; everything else comes from the roll-ups.
    """
    form = _form(accept)
    question = asked.question(zone_of(site.timezone), now)
    answer = await reading.series(conn, site, question)
    if form is Form.JSON:
        return Response(to_json(answer), media_type=Form.JSON, headers=_VARY)
    name = f"telemetry-{question.window.start:%Y%m%d}-{question.window.end:%Y%m%d}"
    write, ending = (to_csv, "csv") if form is Form.CSV else (to_parquet, "parquet")
    try:
        body = await asyncio.to_thread(write, answer)  # up to 200,000 rows
    except NoParquetError as error:
        raise NotAcceptableError(f"This server cannot write Parquet ({error}); ask for text/csv.") from error
    told = {f"Telemetry-{name.title()}": value for name, value in about(answer).items()}
    headers = {**_VARY, **told, "Content-Disposition": f'attachment; filename="{name}.{ending}"'}
    media_type = "text/csv; charset=utf-8" if form is Form.CSV else Form.PARQUET
    return Response(body, media_type=media_type, headers=headers)


_VARY = {"Vary": "Accept"}


def _form(accept: str | None) -> Form:
    chosen = preferred_form(accept, [form.value for form in Form])
    if chosen is None:
        forms = ", ".join(form.value for form in Form)
        raise NotAcceptableError(f"Series are written as {forms}; send one of them in Accept, or leave it out.")
    if chosen == Form.PARQUET and not CAN_PARQUET:
        raise NotAcceptableError(
            "This server cannot write Parquet (install solar-hub[parquet] there); ask for text/csv."
        )
    return Form(chosen)


def _checked(start: datetime, end: datetime) -> Window:
    if not timedelta() < end - start <= MAX_SPAN:
        raise _wrong("from", "must be before `to`, and at most 30 years")
    return Window(start, end)


def _wrong(field: str, message: str) -> ValidationFailedError:
    problem: FieldProblem = {"field": field, "message": message}
    return ValidationFailedError(f"{field}: {message}.", errors=[problem])
