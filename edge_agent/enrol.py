"""From a claim code to a credential, and where the credential lives."""

import ipaddress
import os
import platform
import socket
import sqlite3
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, SecretStr, ValidationError, field_serializer

from edge_agent.clock import Clock
from edge_agent.errors import EdgeError
from edge_agent.store.file import StoreFile
from edge_agent.store.outbox import epoch_of
from edge_agent.store.state import record_event, save_plan
from edge_agent.sync.live import plan_fault
from edge_agent.uplink import RefusedError, Uplink
from shared.wire import CLAIM_CODE_PATTERN, AgentFacts, EdgePlan, EnrolRequest

FILE_NAME = "credential.json"


class EnrolError(EdgeError):
    """The box could not be enrolled; the message says what to do."""


class NotEnrolledError(EdgeError):
    """The box belongs to no site yet: `solarhub-edge enrol --cloud URL --code XXXX-XXXX`."""


class Credential(BaseModel):
    """What the box proves itself with, and to whom."""

    model_config = ConfigDict(frozen=True)

    cloud_url: str
    gateway_id: UUID
    credential: SecretStr
    enrolled_at: AwareDatetime

    @field_serializer("credential", when_used="json")
    def _show_to_the_file(self, credential: SecretStr) -> str:
        return credential.get_secret_value()


def agent_facts() -> AgentFacts:
    """What this agent and its box are."""
    return AgentFacts(
        agent_version=version("solar-hub")[:32],
        hostname=socket.gethostname()[:255],
        machine=platform.machine()[:64],
        os=platform.platform()[:255],
        python=platform.python_version()[:32],
    )


def check_cloud_url(url: str) -> str:
    """Normalise the cloud's address.

    Raises:
        EnrolError: if it is no URL, or would send the credential over the network unencrypted.
    """
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  reading it is what checks it
    except ValueError as error:
        raise EnrolError(f"cloud URL is {url!r} ({error}); give one such as https://solar.example.pk") from error
    if parts.username is not None or parts.password is not None:
        raise EnrolError(
            f"cloud URL for {parts.hostname} carries a user name or a password; leave them out, the claim code is enough"
        )
    if (
        parts.scheme not in ("https", "http")
        or not parts.hostname
        or len(url.split()) != 1
        or parts.query
        or parts.fragment
    ):
        raise EnrolError(f"cloud URL is {url!r}; give one such as https://solar.example.pk")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise EnrolError(f"cloud URL is {url!r}; without https the credential would travel in clear, use https://")
    return url.rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def normalise_code(code: str) -> str:
    """As typed from a screen or a letter: case and separators do not matter."""
    letters = "".join(letter for letter in code.upper() if letter.isalnum())
    return f"{letters[:4]}-{letters[4:]}"


def load_credential(folder: Path) -> Credential:
    """Read the credential.

    Raises:
        NotEnrolledError: if there is none.
        EnrolError: if it cannot be read.
    """
    path = folder / FILE_NAME
    try:
        return Credential.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise NotEnrolledError(
            f"no credential in {folder}: this box belongs to no site yet; get a claim code in the cloud and run"
            " `solarhub-edge enrol --cloud URL --code XXXX-XXXX`"
        ) from None
    except OSError as error:
        raise EnrolError(f"{path} cannot be read ({error.strerror}); run as the user that enrolled the box") from error
    except ValidationError:
        raise EnrolError(f"{path} is damaged; enrol again with a new claim code and --replace") from None


def save_credential(folder: Path, credential: Credential) -> Path:
    """Write the credential so that only this user can read it, and a power cut leaves the old or the new one."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path, draft = folder / FILE_NAME, folder / (FILE_NAME + ".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(credential.model_dump_json(indent=2))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    folder_fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(folder_fd)
    finally:
        os.close(folder_fd)
    return path


async def enrol(
    cloud_url: str, code: str, *, store: StoreFile, folder: Path, clock: Clock, uplink: Uplink
) -> tuple[Credential, EdgePlan]:
    """Claim the box for a site; afterwards it has a credential and a plan.

    Args:
        cloud_url: as `check_cloud_url` returned it.
        code: one-time code, shown in the cloud as XXXX-XXXX.
        store: open; gives the epoch, takes the plan.
        folder: where the credential is written.
        clock: dates the enrolment.
        uplink: to `cloud_url`, without a credential.

    Raises:
        EnrolError: if the code is not well-formed or not accepted, or the plan is of no use.
        UnreachableError: if the cloud cannot be reached.
    """
    try:
        epoch = await store.read(epoch_of)
        request = EnrolRequest(code=normalise_code(code), epoch=epoch, facts=agent_facts())
    except ValidationError as error:
        raise EnrolError(
            f"claim code is {code!r}; it has eight letters and digits, written XXXX-XXXX, none of 0 O 1 I L"
            f" ({CLAIM_CODE_PATTERN})"
        ) from error
    try:
        answer = await uplink.claim(request)
    except RefusedError as error:
        raise EnrolError(f"{error}; {_advice(error)}") from error
    fault = plan_fault(answer.plan)
    if fault is not None:
        raise EnrolError(f"the cloud's plan is of no use to this agent: {fault}")
    now = clock.now()
    credential = Credential(
        cloud_url=cloud_url, gateway_id=answer.gateway_id, credential=answer.credential, enrolled_at=now
    )
    try:
        save_credential(folder, credential)
    except OSError as error:
        raise EnrolError(
            f"the credential cannot be kept in {folder} ({error.strerror}); check disk and owner, then enrol with a new code"
        ) from error
    await store.write(lambda connection: _remember(connection, answer.plan, now, credential.gateway_id))
    return credential, answer.plan


def _remember(connection: sqlite3.Connection, plan: EdgePlan, now: datetime, gateway_id: UUID) -> None:
    save_plan(connection, plan, now)
    record_event(connection, round(now.timestamp() * 1000), "enrolled", {"gateway_id": str(gateway_id)})


def _advice(error: RefusedError) -> str:
    match error.status:
        case 404 | 409 | 410:
            return "a code works once and for 15 minutes: get a new one in the cloud, under the site's gateways"
        case 429:
            wait = "a while" if error.retry_after_s is None else f"{error.retry_after_s:.0f} s"
            return f"too many attempts from here: wait {wait}"
        case 422:
            return "check the code, and whether this agent is as new as the cloud"
        case _:
            return "try again later; if it stays, ask whoever runs the cloud"
