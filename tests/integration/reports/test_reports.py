"""Reports over HTTP and through a worker, on a real database and file store."""

import asyncio
import hashlib
import io
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from pypdf import PdfReader
from sqlalchemy import insert

from cloud.core.db import SYSTEM
from cloud.core.files import LocalFiles
from cloud.core.ids import new_id
from cloud.reports import repository, service
from cloud.reports.render.process import RenderError
from cloud.reports.tables import ReportTemplate
from shared.enums import OrgMemberRole
from tests.integration.reports.conftest import Reporter


def _text(content: bytes) -> str:
    return "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(content)).pages)


async def _file(reporter: Reporter, report_id: str, **headers: str) -> Any:
    home = reporter.home
    return await home.api.call("GET", f"/reports/{report_id}/file", home.owner, headers=headers)


async def test_anonymous(reporter: Reporter) -> None:
    made = await reporter.ask()
    for method, path in (("GET", ""), ("POST", ""), ("GET", f"/{made['id']}"), ("GET", f"/{made['id']}/file")):
        body = reporter.body() if method == "POST" else None
        assert (await reporter.home.api.call(method, f"/reports{path}", json=body)).status_code == 401


async def test_other_organisation(reporter: Reporter) -> None:
    made = await reporter.ask()
    await reporter.work(made["id"])
    api, stranger = reporter.home.api, reporter.home.world.stranger
    assert (await api.call("POST", "/reports", stranger, json=reporter.body())).status_code == 404
    assert (await api.call("GET", f"/reports/{made['id']}", stranger)).status_code == 404
    assert (await api.call("GET", f"/reports/{made['id']}/file", stranger)).status_code == 404
    assert (await api.call("GET", "/reports", stranger)).json()["items"] == []
    own = reporter.home.site["organization_id"]
    assert (await api.call("GET", f"/reports?organization_id={own}", stranger)).status_code == 404


async def test_roles(reporter: Reporter) -> None:
    api, organization_id = reporter.home.api, reporter.home.world.organization_id
    viewer = await api.member(organization_id, "viewer@example.com", OrgMemberRole.VIEWER)
    installer = await api.member(organization_id, "installer@example.com", OrgMemberRole.INSTALLER)
    made = await reporter.ask()
    assert (await api.call("GET", f"/reports/{made['id']}", viewer)).status_code == 200
    assert (await api.call("POST", "/reports", viewer, json=reporter.body())).status_code == 403
    assert (await api.call("GET", f"/reports/{made['id']}", installer)).status_code == 403


async def test_from_asking_to_the_file(reporter: Reporter) -> None:
    asked = await reporter.ask()
    assert asked["status"] == "pending"
    assert asked["name"] == "Site one, 1 to 30 September 2026"
    assert reporter.home.api.jobs.sent[-1] == ("reports.generate", {"report_id": UUID(asked["id"])})
    early = await _file(reporter, asked["id"])
    assert (early.status_code, early.json()["code"]) == (409, "report_not_ready")
    assert await reporter.work(asked["id"]) is True
    done = await reporter.read(asked["id"])
    assert (done["status"], done["attempts"], done["error"]) == ("completed", 1, None)
    answer = await _file(reporter, asked["id"])
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/pdf"
    assert answer.headers["ETag"] == f'"{done["sha256"]}"'
    assert 'filename="Site-one-1-to-30-September-2026.pdf"' in answer.headers["Content-Disposition"]
    assert hashlib.sha256(answer.content).hexdigest() == done["sha256"]
    assert len(answer.content) == done["file_size_bytes"]
    again = await _file(reporter, asked["id"], **{"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    words = _text(answer.content)
    for part in (
        "Site one",
        "1,208.5",
        "Power on 12 September 2026",
        "Karachi, Sindh",
        "KELECTRIC",
        "A-1(a) un-protected",
    ):
        assert part in words


async def test_a_stored_bill_of_the_period_is_used(reporter: Reporter) -> None:
    home = reporter.home
    body = {"period_start": "2026-09-01", "period_end": "2026-09-30", "units_history": {"2026-07": "410"}}
    bill = (await home.api.call("POST", home.bills, home.owner, json=body)).json()
    made = await reporter.ask()
    await reporter.work(made["id"])
    total = f"{float(bill['bill_breakdown']['total_bill']):,.0f}"
    assert total in _text((await _file(reporter, made["id"])).content)


async def test_a_day_and_an_empty_period_are_reports_too(reporter: Reporter) -> None:
    for dates in (("2026-09-12", "2026-09-12"), ("2025-01-01", "2025-01-03")):
        made = await reporter.ask(parameters={"date_range": {"start_date": dates[0], "end_date": dates[1]}})
        assert await reporter.work(made["id"]) is True
    assert "No solar energy was recorded" in _text((await _file(reporter, made["id"])).content)


async def test_branding_of_the_default_template(reporter: Reporter) -> None:
    async with reporter.context.db.transaction(SYSTEM) as conn:
        await conn.execute(
            insert(ReportTemplate).values(
                id=new_id(),
                organization_id=reporter.home.world.organization_id,
                name="ours",
                report_type="performance_summary",
                branding={"header_text": "Indus Solar", "footer_text": "Confidential", "primary_color": "#aa0000"},
                is_default=True,
            )
        )
    made = await reporter.ask(name="For the owner")
    await reporter.work(made["id"])
    words = _text((await _file(reporter, made["id"])).content)
    assert "Indus Solar" in words
    assert "Confidential" in words


async def test_twice_is_once(reporter: Reporter) -> None:
    made = await reporter.ask()
    outcomes = await asyncio.gather(*(reporter.work(made["id"]) for _ in range(4)))
    assert sorted(outcomes) == [False, False, False, True]
    assert await reporter.work(made["id"]) is False
    assert len(reporter.stored_files()) == 1
    assert (await reporter.read(made["id"]))["attempts"] == 1


async def test_a_lost_message_is_found_by_the_sweep(reporter: Reporter) -> None:
    made = await reporter.ask()
    jobs = reporter.home.api.jobs
    jobs.sent.clear()
    assert await service.sweep_waiting(reporter.context, reporter.now) == 0
    later = reporter.now + timedelta(seconds=61)
    assert await service.sweep_waiting(reporter.context, later) == 1
    assert jobs.sent == [("reports.generate", {"report_id": UUID(made["id"])})]
    assert await service.sweep_waiting(reporter.context, later) == 0, "asked again at once"
    assert await service.sweep_waiting(reporter.context, later + service.QUIET * 2) == 1
    assert await reporter.work(made["id"]) is True


async def test_a_dead_worker_s_report_is_made_by_another(reporter: Reporter) -> None:
    made = await reporter.ask()
    async with reporter.context.db.transaction(SYSTEM) as conn:
        dead = await repository.claim_report(conn, UUID(made["id"]), now=reporter.now, lease=service.LEASE)
    assert dead is not None
    assert await reporter.work(made["id"]) is False, "its lease still runs"
    reporter.advance(minutes=6)
    assert await service.sweep_waiting(reporter.context, reporter.now) == 1
    assert await reporter.work(made["id"]) is True
    assert (await reporter.read(made["id"]))["attempts"] == 2
    # The first worker was only slow: what it brings now is not taken, and its file does not stay.
    assert await service._store(reporter.context, dead, b"%PDF late", now=reporter.now) is False
    assert len(reporter.stored_files()) == 1
    assert (await _file(reporter, made["id"])).content.startswith(b"%PDF-")


async def test_workers_that_die_each_time_end_it(reporter: Reporter) -> None:
    made = await reporter.ask()
    for _ in range(service.MAX_ATTEMPTS):
        async with reporter.context.db.transaction(SYSTEM) as conn:
            claim = await repository.claim_report(conn, UUID(made["id"]), now=reporter.now, lease=service.LEASE)
        assert claim is not None
        reporter.advance(minutes=6)
    await reporter.work(made["id"])
    failed = await reporter.read(made["id"])
    assert (failed["status"], failed["error"]) == ("failed", "3 workers were lost while making it")
    answer = await _file(reporter, made["id"])
    assert (answer.status_code, answer.json()["code"]) == (409, "report_failed")


async def test_a_renderer_that_fails_is_tried_three_times(reporter: Reporter, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_args: object, **_kwargs: object) -> bytes:
        raise RenderError("rendering pdf ended with code -9: no message")

    monkeypatch.setattr(service, "render", broken)
    made = await reporter.ask()
    states = []
    for _ in range(4):
        assert await reporter.work(made["id"]) is False
        states.append((await reporter.read(made["id"]))["status"])
    assert states == ["pending", "pending", "failed", "failed"]
    assert (await reporter.read(made["id"]))["error"] == "rendering pdf ended with code -9: no message"
    assert reporter.stored_files() == []


async def test_an_expired_file_is_deleted(reporter: Reporter) -> None:
    made = await reporter.ask()
    await reporter.work(made["id"])
    assert await service.sweep_expired(reporter.context, reporter.now) == 0
    assert await service.sweep_expired(reporter.context, reporter.now + service.KEEP + timedelta(days=1)) == 1
    assert reporter.stored_files() == []
    answer = await _file(reporter, made["id"], **{"If-None-Match": f'"{made["sha256"]}"'})
    assert (answer.status_code, answer.json()["code"]) == (410, "report_expired")


async def test_a_file_that_cannot_be_deleted_is_tried_again(
    reporter: Reporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await reporter.ask()
    await reporter.work(made["id"])
    over = reporter.now + service.KEEP + timedelta(days=1)

    async def refuses(_self: LocalFiles, path: str) -> None:
        raise PermissionError(path)

    with monkeypatch.context() as patch:
        patch.setattr(LocalFiles, "delete", refuses)
        with pytest.raises(PermissionError):
            await service.sweep_expired(reporter.context, over)
    assert await service.sweep_expired(reporter.context, over) == 1
    assert reporter.stored_files() == []


async def test_one_organisation_cannot_fill_the_queue(reporter: Reporter) -> None:
    made = [(await reporter.ask())["id"] for _ in range(service.MAX_WAITING)]
    home = reporter.home
    answer = await home.api.call("POST", "/reports", home.owner, json=reporter.body())
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_reports")
    assert len(home.api.jobs.sent) == service.MAX_WAITING
    await reporter.work(made[0])
    await reporter.ask()


async def test_a_file_that_the_store_lost_is_said(reporter: Reporter) -> None:
    made = await reporter.ask()
    await reporter.work(made["id"])
    await reporter.context.files.delete(reporter.stored_files()[0])
    answer = await _file(reporter, made["id"])
    assert (answer.status_code, answer.json()["code"]) == (404, "file_missing")


async def test_lists_by_type_status_and_cursor(reporter: Reporter) -> None:
    made = [(await reporter.ask())["id"] for _ in range(3)]
    await reporter.work(made[0])
    home = reporter.home
    page = (await home.api.call("GET", "/reports?limit=2", home.owner)).json()
    rest = (await home.api.call("GET", f"/reports?limit=2&cursor={page['next_cursor']}", home.owner)).json()
    assert [item["id"] for item in page["items"] + rest["items"]] == made[::-1]
    done = (await home.api.call("GET", "/reports?status=completed&report_type=performance_summary", home.owner)).json()
    assert [item["id"] for item in done["items"]] == [made[0]]


@pytest.mark.parametrize(
    ("changes", "code", "available"),
    [
        ({"format": "excel"}, "format_not_available", ["pdf"]),
        ({"report_type": "financial"}, "report_type_not_available", ["performance_summary"]),
        ({"language": "ur"}, "language_not_available", ["en"]),
        ({"format": "docx"}, "validation_failed", None),
        ({"parameters": {"site_ids": []}}, "validation_failed", None),
        ({"parameters": {"date_range": None}}, "validation_failed", None),
        (
            {"parameters": {"date_range": {"start_date": "0001-01-01", "end_date": "0001-01-31"}}},
            "validation_failed",
            None,
        ),
        ({"parameters": {"grouping": "hourly"}}, "validation_failed", None),
        ({"parameters": {"comparison_mode": "year_over_year"}}, "validation_failed", None),
        (
            {"parameters": {"date_range": {"start_date": "2024-01-01", "end_date": "2026-01-01"}}},
            "validation_failed",
            None,
        ),
        (
            {"parameters": {"date_range": {"start_date": "2026-01-02", "end_date": "2026-01-01"}}},
            "validation_failed",
            None,
        ),
    ],
)
async def test_what_cannot_be_made_is_refused(
    reporter: Reporter, changes: dict[str, Any], code: str, available: list[str] | None
) -> None:
    home = reporter.home
    answer = await home.api.call("POST", "/reports", home.owner, json=reporter.body(**changes))
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem.get("available")) == (422, code, available)
    assert problem["errors"]
    assert home.api.jobs.sent == []
