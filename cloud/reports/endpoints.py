"""Reports over HTTP."""

import re
from typing import Annotated
from uuid import UUID

from fastapi import Header, Query, Response

from cloud.auth.rules import Action, authorize
from cloud.auth.schemas import Scope
from cloud.reports import repository, service
from cloud.reports.schemas import ReportIn, ReportOut
from cloud.web.deps import AfterCommit, Conn, CurrentUser, Now, PageOf, ServicesDep, allowed
from cloud.web.etags import set_etag
from cloud.web.paging import Page
from cloud.web.routing import API, api_router
from shared.enums import ReportFormat, ReportStatus, ReportType

router = api_router("/reports", tags=["reports"])

MEDIA_TYPES = {
    ReportFormat.PDF: "application/pdf",
    ReportFormat.EXCEL: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ReportFormat.CSV: "text/csv",
    ReportFormat.HTML: "text/html",
    ReportFormat.JSON: "application/json",
}


def file_name(report: ReportOut) -> str:
    """A plain file name made from the report's own: letters, digits and dashes."""
    words = re.sub(r"[^A-Za-z0-9]+", "-", report.name).strip("-")[:80]
    return f"{words or 'report'}.{report.format.value}"


@router.post("", status_code=202)
async def request_report(
    body: ReportIn, conn: Conn, user: CurrentUser, *, now: Now, after_commit: AfterCommit, response: Response
) -> ReportOut:
    """Ask for a report. It is made in the background: read it again until its status is `completed`, then fetch the file."""
    report = await service.request_report(conn, user, body, now=now, after_commit=after_commit)
    set_etag(response, report.version)
    response.headers["Location"] = f"{API}/reports/{report.id}"
    return report


@router.get("")
async def list_reports(
    conn: Conn,
    user: CurrentUser,
    scope: Annotated[Scope, allowed(Action.REPORT_READ)],
    paging: PageOf,
    *,
    organization_id: Annotated[UUID | None, Query(description="Of this organisation only.")] = None,
    report_type: Annotated[ReportType | None, Query(description="Of this type only.")] = None,
    status: Annotated[ReportStatus | None, Query(description="With this status only.")] = None,
) -> Page[ReportOut]:
    """The reports that the person may read, the newest first."""
    if organization_id is not None:
        authorize(user, Action.REPORT_READ, organization_id)
    wanted = repository.ReportFilter(organization_id=organization_id, report_type=report_type, status=status)
    items, next_cursor = await repository.list_reports(conn, scope, paging, wanted)
    return Page(items=list(items), next_cursor=next_cursor)


@router.get("/{report_id}")
async def get_report(report_id: UUID, conn: Conn, user: CurrentUser, response: Response) -> ReportOut:
    """One report and how far it is."""
    report = await service.get_report(conn, user, report_id)
    set_etag(response, report.version)
    return report


@router.get(
    "/{report_id}/file",
    response_class=Response,
    responses={
        200: {"content": {"application/pdf": {}}, "description": "The file; its ETag is the SHA-256 of the content."},
        304: {"description": "The file is the one that `If-None-Match` names."},
    },
)
async def get_file(
    report_id: UUID,
    conn: Conn,
    user: CurrentUser,
    *,
    services: ServicesDep,
    if_none_match: Annotated[str | None, Header(description="ETag of the copy at hand.")] = None,
) -> Response:
    """The file of a finished report."""
    report = await service.get_report(conn, user, report_id)
    headers = {"ETag": f'"{report.sha256}"', "Cache-Control": "private, no-cache"}
    is_there = report.status in {ReportStatus.COMPLETED, ReportStatus.DELIVERED} and report.sha256 is not None
    if is_there and if_none_match is not None and f'"{report.sha256}"' in if_none_match:
        return Response(status_code=304, headers=headers)
    content = await service.file_of(conn, services.files, report)
    disposition = f'attachment; filename="{file_name(report)}"'
    return Response(
        content, media_type=MEDIA_TYPES[report.format], headers={**headers, "Content-Disposition": disposition}
    )
