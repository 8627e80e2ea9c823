"""The door to the cloud: what passes, what is refused, what is said."""

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse

from edge_agent.config import lock_down
from edge_agent.enrol import (
    Credential,
    EnrolError,
    NotEnrolledError,
    check_cloud_url,
    enrol,
    load_credential,
    normalise_code,
    save_credential,
)
from edge_agent.errors import ConfigError
from edge_agent.store.state import read_plan
from edge_agent.sync.joining import joined
from edge_agent.uplink import (
    MAX_ANSWER_BYTES,
    RefusedError,
    StrangeAnswerError,
    UnreachableError,
    Uplink,
    retry_after,
    tls_context,
)
from tests.edge_world import (
    CREDENTIAL,
    GATEWAY,
    START,
    FakeCloud,
    device,
    fast_clock,
    opened,
    plan,
    problem,
    serving,
    world,
)

PLAN = plan(device(1), revision=3)


async def test_enrolment_gives_a_credential_and_a_plan(tmp_path: Path) -> None:
    cloud = FakeCloud(PLAN)
    folder = tmp_path / "data"
    async with serving(cloud) as port:
        url = f"http://127.0.0.1:{port}"
        with opened(folder) as store:
            async with Uplink(url, clock=fast_clock()) as uplink:
                credential, got = await enrol(
                    url, "abcd2345", store=store, folder=folder, clock=fast_clock(), uplink=uplink
                )
            assert await store.read(read_plan) == got == PLAN
    assert credential.gateway_id == GATEWAY
    assert load_credential(folder).credential.get_secret_value() == CREDENTIAL
    assert (folder / "credential.json").stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    assert CREDENTIAL not in repr(credential)


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (404, "claim_code_unknown", "get a new one in the cloud"),
        (410, "claim_code_expired", "get a new one in the cloud"),
        (429, "rate_limited", "wait 30 s"),
        (422, "schema_version_unsupported", "as new as the cloud"),
        (500, "broken", "try again later"),
    ],
)
async def test_a_refused_code_is_explained_and_leaves_nothing(
    tmp_path: Path, status: int, code: str, said: str
) -> None:
    cloud = FakeCloud(PLAN)
    cloud.fail("claim", problem(status, code, headers={"Retry-After": "30"}))
    async with serving(cloud) as port:
        url = f"http://127.0.0.1:{port}"
        with opened(tmp_path) as store:
            async with Uplink(url, clock=fast_clock()) as uplink:
                with pytest.raises(EnrolError, match=said):
                    await enrol(url, "ABCD-2345", store=store, folder=tmp_path, clock=fast_clock(), uplink=uplink)
            assert await store.read(read_plan) is None
    with pytest.raises(NotEnrolledError, match="--code"):
        load_credential(tmp_path)


async def test_a_malformed_code_is_not_even_sent(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        async with Uplink("http://127.0.0.1:1", clock=fast_clock()) as uplink:
            with pytest.raises(EnrolError, match="eight letters and digits"):
                await enrol("http://x", "O0O0-1111", store=store, folder=tmp_path, clock=fast_clock(), uplink=uplink)


async def test_a_plan_of_no_use_is_no_enrolment(tmp_path: Path) -> None:
    async with serving(FakeCloud(plan(timezone="Mars/Olympus"))) as port:
        url = f"http://127.0.0.1:{port}"
        with opened(tmp_path) as store:
            async with Uplink(url, clock=fast_clock()) as uplink:
                with pytest.raises(EnrolError, match="Mars/Olympus"):
                    await enrol(url, "ABCD-2345", store=store, folder=tmp_path, clock=fast_clock(), uplink=uplink)
    assert not (tmp_path / "credential.json").exists()


@pytest.mark.parametrize("typed", ["abcd-2345", "ABCD2345", " ab cd-23 45 "])
def test_a_code_may_be_typed_in_many_ways(typed: str) -> None:
    assert normalise_code(typed) == "ABCD-2345"


@pytest.mark.parametrize(
    "url", ["https://solar.example.pk/", "http://127.0.0.1:8000", "http://localhost:80", "http://[::1]:80"]
)
def test_a_safe_address_is_taken(url: str) -> None:
    assert check_cloud_url(url) == url.rstrip("/")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://solar.example.pk", "in clear"),
        ("solar.example.pk", "give one such as"),
        ("", "give one"),
        ("https://", "give one"),
    ],
)
def test_an_unsafe_or_wrong_address_is_refused(url: str, said: str) -> None:
    with pytest.raises(EnrolError, match=said):
        check_cloud_url(url)


def test_a_damaged_credential_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "credential.json").write_text("{}")
    with pytest.raises(EnrolError, match="--replace"):
        load_credential(tmp_path)
    (tmp_path / "credential.json").unlink()
    (tmp_path / "credential.json").mkdir()
    with pytest.raises(EnrolError, match="cannot be read"):
        load_credential(tmp_path)


def test_a_credential_is_replaced_whole(tmp_path: Path) -> None:
    for secret in ("first", "second"):
        credential = Credential(
            cloud_url="https://x", gateway_id=GATEWAY, credential=SecretStr(secret), enrolled_at=START
        )
        save_credential(tmp_path, credential)
        assert load_credential(tmp_path) == credential
    assert [path.name for path in tmp_path.iterdir()] == ["credential.json"]


async def test_bodies_travel_compressed_and_answers_are_typed(tmp_path: Path) -> None:
    cloud = FakeCloud(PLAN)
    async with serving(cloud) as port:
        url = f"http://127.0.0.1:{port}/"
        async with Uplink(url, clock=fast_clock(), credential=SecretStr(CREDENTIAL)) as uplink:
            with world(tmp_path) as box:
                await box.fill(50)
                flushes = await box.buffer.peek(max_readings=5000, max_bytes=1_000_000)
                ack = await uplink.send_readings(joined(box.buffer.epoch, flushes))
            assert (ack.acked_seq, ack.stored) == (50, 100)
            assert uplink.sent_bytes < 5_000
            assert await uplink.fetch_plan(known_revision=3) is None
            assert await uplink.fetch_plan(known_revision=None) == PLAN


async def test_what_is_not_there_is_unreachable() -> None:
    async with Uplink("http://127.0.0.1:1", clock=fast_clock()) as uplink:
        with pytest.raises(UnreachableError, match=r"127\.0\.0\.1: ConnectError") as caught:
            await uplink.fetch_plan(known_revision=None)
    assert not caught.value.broke_off


async def test_a_refusal_carries_status_code_and_wish() -> None:
    cloud = FakeCloud(PLAN)
    cloud.fail("plan", problem(503, "overloaded", headers={"Retry-After": "7"}))
    async with serving(cloud) as port, Uplink(f"http://127.0.0.1:{port}", clock=fast_clock()) as uplink:
        with pytest.raises(RefusedError, match="503 overloaded: overloaded happened") as caught:
            await uplink.fetch_plan(known_revision=None)
        assert (caught.value.status, caught.value.retry_after_s, caught.value.is_passing) == (503, 7, True)
        with pytest.raises(RefusedError, match="credential_invalid") as caught:
            await uplink.fetch_plan(known_revision=None)
        assert not caught.value.is_passing


async def test_an_answer_in_another_form_names_what_is_wrong() -> None:
    cloud = FakeCloud(PLAN, raw_plan={"revision": "x"})
    secret = SecretStr(CREDENTIAL)
    async with (
        serving(cloud) as port,
        Uplink(f"http://127.0.0.1:{port}", clock=fast_clock(), credential=secret) as uplink,
    ):
        with pytest.raises(StrangeAnswerError, match="wrong: revision, site"):
            await uplink.fetch_plan(known_revision=None)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("12", 12),
        ("0", 0),
        ("999999", 3600),
        ("Mon, 01 Jun 2026 06:01:00 GMT", 60),
        ("Mon, 01 Jun 2020 06:01:00 GMT", 0),
        ("soon", None),
        (None, None),
        ("-5", None),
    ],
)
def test_retry_after_in_all_its_forms(text: str | None, seconds: float | None) -> None:
    assert retry_after(text, START) == seconds


@given(st.text(max_size=40))
def test_no_header_breaks_the_agent(text: str) -> None:
    seconds = retry_after(text, datetime(2026, 1, 1, tzinfo=UTC))
    assert seconds is None or 0 <= seconds <= timedelta(hours=1).total_seconds()


def test_certificates_are_always_checked(tmp_path: Path) -> None:
    assert tls_context(None) is True
    authority = next(path for path in Path(ssl.get_default_verify_paths().capath or "/etc/ssl/certs").glob("*.pem"))
    context = tls_context(str(authority))
    assert isinstance(context, ssl.SSLContext)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


@pytest.mark.parametrize("status", [500, 501, 502, 503, 504, 507, 511, 520, 522, 529])
def test_every_fault_on_the_way_passes(status: int) -> None:
    assert RefusedError(status, {}).is_passing


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (RedirectResponse("https://login.example.pk/"), "points elsewhere"),
        (PlainTextResponse("x" * (MAX_ANSWER_BYTES + 1)), "more than 4000000 bytes"),
        (
            PlainTextResponse(gzip.compress(b"0" * 50_000_000), headers={"Content-Encoding": "gzip"}),
            "more than 4000000",
        ),
        (PlainTextResponse("<html>log in</html>", media_type="text/html"), "not as the cloud does"),
        (PlainTextResponse("", status_code=204), "not as the cloud does"),
        (PlainTextResponse("[1, 2]"), "not as the cloud does"),
    ],
)
async def test_an_answer_that_is_not_the_clouds_is_asked_for_again_later(answer: Response, said: str) -> None:
    cloud = FakeCloud(PLAN)
    cloud.fail("plan", answer)
    async with serving(cloud) as port, Uplink(f"http://127.0.0.1:{port}", clock=fast_clock()) as uplink:
        with pytest.raises(StrangeAnswerError, match=said):
            await uplink.fetch_plan(known_revision=None)


async def test_an_answer_of_single_drops_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_agent.uplink.TIMEOUTS_PER_REQUEST", 0.5)

    async def drops() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.sleep(0.02)

    cloud = FakeCloud(PLAN)
    cloud.fail("plan", StreamingResponse(drops()))
    async with serving(cloud) as port, Uplink(f"http://127.0.0.1:{port}", clock=fast_clock(), timeout_s=1) as uplink:
        with pytest.raises(UnreachableError, match="not complete after"):
            await uplink.fetch_plan(known_revision=None)


@pytest.mark.parametrize(
    "url", ["http://[::1", "https://host:99999", "https://host:port", "https://user:pw@host.pk", "https://ho st"]
)
def test_an_odd_address_of_the_cloud_is_explained(url: str) -> None:
    with pytest.raises(EnrolError, match="cloud URL") as caught:
        check_cloud_url(url)
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_certificate_file_of_no_use_is_named(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigError, match="ca_file is"):
        tls_context(str(file))


async def test_a_credential_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    cloud, folder = FakeCloud(PLAN), tmp_path / "data"
    (folder / "credential.json.new").mkdir(parents=True)
    async with serving(cloud) as port:
        url = f"http://127.0.0.1:{port}"
        with opened(folder) as store:
            async with Uplink(url, clock=fast_clock()) as uplink:
                with pytest.raises(EnrolError, match="cannot be kept in"):
                    await enrol(url, "ABCD-2345", store=store, folder=folder, clock=fast_clock(), uplink=uplink)


def test_a_data_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigError, match="data_dir is"):
        lock_down(tmp_path / "file" / "data")
