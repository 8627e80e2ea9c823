import base64
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.core.crypto import MASK, DecryptionError, SecretBox, mask_fields, same, token_hash
from cloud.core.errors import CloudError, NotFoundError, RateLimitedError, UnauthenticatedError, ValidationFailedError
from cloud.core.files import BadPathError, LocalFiles, normal_path
from cloud.core.ids import new_id
from cloud.core.jobs import PendingJobs
from cloud.core.log import configure_logging, get_logger, hide_secrets
from cloud.core.notify import notify_systemd
from cloud.core.settings import Settings, SettingsError, load_settings
from cloud.core.text import MESSAGES, Language, preferred_language, text
from tests.fakes import FakeFiles, FakeJobs

KEY = base64.b64encode(bytes(32)).decode()
GOOD = {"database_url": "postgresql://u:p@h/d", "redis_url": "redis://:p@h:6379/0", "secret_key": KEY}


class TestSettings:
    def test_they_come_from_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in GOOD.items():
            monkeypatch.setenv(f"SOLARHUB_{name.upper()}", value)
        monkeypatch.setenv("SOLARHUB_DB_POOL_SIZE", "7")
        settings = load_settings()
        assert settings.db_pool_size == 7
        assert settings.secret_key_bytes == bytes(32)
        assert settings.admin_url == GOOD["database_url"]
        assert "u:p" not in repr(settings)
        assert KEY not in repr(settings)

    def test_every_missing_variable_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in GOOD:
            monkeypatch.delenv(f"SOLARHUB_{name.upper()}", raising=False)
        with pytest.raises(SettingsError) as caught:
            load_settings()
        for name in GOOD:
            assert f"SOLARHUB_{name.upper()} is not set" in str(caught.value)

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("database_url", "mysql://secret@h/d"),
            ("redis_url", "http://secret"),
            ("secret_key", base64.b64encode(b"secret").decode()),
            ("secret_key", "no base64 secret!"),
            ("db_pool_size", 0),
            ("log_level", "loud"),
            ("public_url", "ftp://secret"),
        ],
    )
    def test_a_wrong_value_is_named_but_not_shown(self, field: str, value: object) -> None:
        with pytest.raises(SettingsError, match=f"SOLARHUB_{field.upper()} is wrong") as caught:
            load_settings({**GOOD, field: value})
        assert "secret@" not in str(caught.value)
        assert str(value) not in str(caught.value) or value in (0, "loud")

    def test_they_cannot_be_changed(self) -> None:
        settings: Any = load_settings(GOOD)
        with pytest.raises(ValueError, match="frozen"):
            settings.db_pool_size = 3

    def test_the_readme_names_every_setting(self) -> None:
        readme = (Path(__file__).parents[3] / "cloud" / "README.md").read_text(encoding="utf-8")
        missing = [name for name in Settings.model_fields if f"SOLARHUB_{name.upper()}" not in readme]
        assert not missing


class TestErrors:
    def test_the_docstring_is_the_sentence(self) -> None:
        assert NotFoundError().detail == "There is no such thing, or it belongs to somebody else."
        assert str(NotFoundError("No such site.")) == "No such site."

    def test_code_extra_and_headers(self) -> None:
        error = CloudError("x", code="sequence_gap", extra={"expected_seq": 7})
        assert (error.code, error.extra) == ("sequence_gap", {"expected_seq": 7})
        assert CloudError().code == "internal_error"
        assert RateLimitedError(retry_after_s=9).headers == {"Retry-After": "9"}
        assert UnauthenticatedError().headers == {"WWW-Authenticate": "Bearer"}
        assert ValidationFailedError(errors=[{"field": "a", "message": "b"}]).extra["errors"][0]["field"] == "a"

    def test_codes_and_titles_have_words_in_both_languages(self) -> None:
        kinds = [CloudError]
        for kind in kinds:
            kinds.extend(kind.__subclasses__())
        core = [kind for kind in kinds if kind.__module__ == "cloud.core.errors"]
        assert len(core) > 10
        for kind in core:
            assert text(f"problem.{kind.code}", Language.EN) == kind.title


class TestText:
    def test_every_message_is_in_every_language(self) -> None:
        for key, entry in MESSAGES.items():
            assert set(entry) == set(Language), key
            assert all(entry.values()), key

    @pytest.mark.parametrize(
        ("header", "language"),
        [
            (None, "en"),
            ("", "en"),
            ("ur", "ur"),
            ("ur-PK", "ur"),
            ("de, ur;q=0.5", "ur"),
            ("en;q=0.4, ur;q=0.5", "ur"),
            ("ur;q=0", "en"),
            ("en, ur", "en"),
            (";;;q=", "en"),
        ],
    )
    def test_the_preferred_language(self, header: str | None, language: str) -> None:
        assert preferred_language(header).value == language

    @given(st.text(max_size=200))
    def test_any_header_gives_a_language(self, header: str) -> None:
        assert preferred_language(header) in Language


class TestSecrets:
    box = SecretBox(bytes(32))

    @given(st.text(), st.text())
    def test_what_is_encrypted_comes_back(self, clear: str, context: str) -> None:
        clear, context = (value.encode("utf-8", "replace").decode() for value in (clear, context))
        stored = self.box.encrypt(clear, context=context)
        assert stored.startswith("enc:v1:")
        assert self.box.decrypt(stored, context=context) == clear
        assert self.box.encrypt(clear, context=context) != stored

    def test_it_opens_only_with_its_key_in_its_place_and_whole(self) -> None:
        stored = self.box.encrypt("secret", context="devices.1")
        with pytest.raises(DecryptionError, match=r"devices\.2"):
            self.box.decrypt(stored, context="devices.2")
        with pytest.raises(DecryptionError, match="SOLARHUB_SECRET_KEY"):
            SecretBox(bytes([1] * 32)).decrypt(stored, context="devices.1")
        for damaged in (stored[:-4] + "AAAA", stored[:20], "plain", stored + "!"):
            with pytest.raises(DecryptionError):
                self.box.decrypt(damaged, context="devices.1")

    def test_fields_are_sealed_masked_kept_and_opened(self) -> None:
        given_document = {"broker": "b", "password": "p", "headers": {"Authorization": "t", "X": "y"}, "token": None}
        fields = ("password", "headers", "token")
        sealed = self.box.seal_fields(given_document, fields, context="d")
        assert sealed["broker"] == "b"
        assert "p" != sealed["password"] != sealed["headers"]["X"]
        assert self.box.open_fields(sealed, fields, context="d") == given_document
        shown = mask_fields(sealed, fields)
        assert shown == {"broker": "b", "password": MASK, "headers": {"Authorization": MASK, "X": MASK}, "token": None}
        again = self.box.seal_fields(shown | {"broker": "c"}, fields, context="d", stored=sealed)
        assert again == sealed | {"broker": "c"}
        assert "password" not in self.box.seal_fields({"password": MASK}, fields, context="d")

    def test_comparison_and_hash(self) -> None:
        assert same("a", b"a")
        assert not same("a", "b")
        assert token_hash("x") == "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"


def files_below(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


class TestFiles:
    @pytest.mark.parametrize(
        "path", ["", "/etc/passwd", "a/../b", "..", "a//b", "a/", ".hidden", "a\x00", "a b", "a\\b", "é"]
    )
    def test_a_path_stays_inside(self, path: str, tmp_path: Path) -> None:
        with pytest.raises(BadPathError, match="relative"):
            normal_path(path)

    @pytest.mark.parametrize("kind", ["local", "fake"])
    async def test_put_get_delete(self, kind: str, tmp_path: Path) -> None:
        files = LocalFiles(tmp_path / "files") if kind == "local" else FakeFiles()
        stored = await files.put("reports/2026/a.pdf", b"one")
        assert (stored.path, stored.size_bytes) == ("reports/2026/a.pdf", 3)
        assert stored.sha256 == "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
        await files.put("reports/2026/a.pdf", b"two")
        assert await files.get("reports/2026/a.pdf") == b"two"
        await files.delete("reports/2026/a.pdf")
        await files.delete("reports/2026/a.pdf")
        with pytest.raises(NotFoundError) as caught:
            await files.get("reports/2026/a.pdf")
        assert caught.value.code == "file_missing"
        assert not list(files_below(tmp_path))


class TestJobs:
    async def test_jobs_wait_for_the_commit_and_double_ones_are_one(self) -> None:
        jobs, pending, site = FakeJobs(), PendingJobs(), new_id()
        pending.add("telemetry.roll_up", site_id=site)
        pending.add("telemetry.roll_up", site_id=site)
        pending.add("reports.generate", report_id=site)
        assert jobs.sent == []
        await pending.flush(jobs)
        await pending.flush(jobs)
        assert jobs.names() == ["telemetry.roll_up", "reports.generate"]


class TestLog:
    def test_secrets_are_hidden_at_any_depth(self) -> None:
        event = {
            "event": "login",
            "password": "p",
            "body": {"refresh_token": "t", "list": [{"api_key": "k", "n": 1}]},
            "Authorization": "Bearer x",
            "tokens": ["a", "b"],
            "password_set": None,
        }
        assert hide_secrets(None, "", event) == {
            "event": "login",
            "password": "***",
            "body": {"refresh_token": "***", "list": [{"api_key": "***", "n": 1}]},
            "Authorization": "***",
            "tokens": ["***", "***"],
            "password_set": None,
        }

    def test_lines_are_json_and_tracebacks_hold_no_local_variables(self, monkeypatch: pytest.MonkeyPatch) -> None:
        root = logging.getLogger()
        before = root.handlers, root.level
        output = io.StringIO()
        monkeypatch.setattr("sys.stderr", output)
        configure_logging()
        try:
            hidden_local = "topsecret"
            try:
                int(hidden_local[:0])
            except ValueError as error:
                get_logger("x").error("failed", exc_info=error, token="t")
            logging.getLogger("uvicorn.error").warning("from %s", "uvicorn")
        finally:
            root.handlers, root.level = before
        lines = [json.loads(line) for line in output.getvalue().splitlines()]
        assert [line["event"] for line in lines] == ["failed", "from uvicorn"]
        assert (lines[0]["token"], lines[0]["level"]) == ("***", "error")
        assert lines[0]["exception"][0]["exc_type"] == "ValueError"
        assert "topsecret" not in output.getvalue()


def test_systemd_is_told_only_when_it_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert notify_systemd("READY=1") is False


def test_ids_grow_with_time() -> None:
    ids = [new_id() for _ in range(100)]
    assert ids == sorted(ids)
    assert {one.version for one in ids} == {7}
