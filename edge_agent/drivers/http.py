"""HTTP devices on the site's network: the only driver module that knows httpx.

Nothing that a device answers can do more than be no answer: redirects are refused, bodies end at a megabyte, compressed ones are not
taken, a whole exchange has one time-out. Credentials stand in headers only and in no text of this module.
"""

import asyncio
import hashlib
import hmac
import logging
import ssl
from collections.abc import Generator
from dataclasses import dataclass
from types import MappingProxyType

import httpx
from pydantic import SecretStr

from edge_agent.clock import Clock
from edge_agent.drivers.base import DeviceAnswer, DriverError
from edge_agent.drivers.http_codec import BoundRequest, NotOkError, decode_answer
from edge_agent.drivers.json_values import PayloadError, StaleError
from edge_agent.profiles.requests import HttpAuth
from shared.enums import Quality
from shared.readings import Value

MAX_ANSWER_BYTES = 1_000_000

_CREDENTIAL_REFUSED = frozenset({httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN})
_PASSING = frozenset({httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_MANY_REQUESTS})
_SHA256_HEX_DIGITS = 64

_log = logging.getLogger(__name__)


class NotFoundError(DriverError):
    """The device does not know the path, or has no such part."""


@dataclass(frozen=True, slots=True)
class HttpAddress:
    """How to reach and convince a device.

    Attributes:
        base_url: scheme, host, port and what comes before the map's paths.
        auth: how `username` and `password` are sent; None to send none.
        token: sent as bearer, instead of them.
        timeout_s: for a whole answer.
        gap_s: silence between two requests.
        verify_tls: False takes any certificate.
        ca_file: certificates to trust instead of the system's.
        fingerprint: SHA-256 of the device's own certificate in hexadecimal; then nothing else of it is looked at.
    """

    base_url: str
    auth: HttpAuth | None = None
    username: str = ""
    password: SecretStr | None = None
    token: SecretStr | None = None
    timeout_s: float = 10.0
    gap_s: float = 0.0
    verify_tls: bool = True
    ca_file: str | None = None
    fingerprint: str | None = None

    def tls_context(self) -> ssl.SSLContext:
        """How certificates are checked.

        Raises:
            DriverError: `config` if the file of certificates cannot be read or the fingerprint is none.
        """
        if not self.base_url.startswith("https:"):
            return ssl.SSLContext(
                ssl.PROTOCOL_TLS_CLIENT
            )  # never used; loading the system's authorities takes a small box long
        if self.fingerprint is not None:
            return _pinned_context(self.fingerprint)
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except OSError as error:  # an SSLError is one
            raise DriverError(
                f"ca_file = {self.ca_file!r}: no certificates can be read from it ({error}); give a PEM file",
                retry=False,
                kind="config",
            ) from error
        if not self.verify_tls:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def credential(self) -> httpx.Auth | None:
        """What convinces the device."""
        if self.token is not None:
            return _Bearer(self.token)
        if self.auth is None or self.password is None:
            return None
        kind = httpx.DigestAuth if self.auth is HttpAuth.DIGEST else httpx.BasicAuth
        return kind(self.username, self.password.get_secret_value())


class HttpEndpoint:
    """One device's server, asked one request at a time; shared by the devices of the plan that live behind it."""

    def __init__(self, address: HttpAddress) -> None:
        self._address = address
        self._lock = asyncio.Lock()
        self._client: httpx.AsyncClient | None = None
        self._quiet_until = 0.0
        if not address.verify_tls and address.fingerprint is None:
            _log.warning("http certificate not verified", extra={"base_url": address.base_url})

    async def get(self, path: str) -> bytes:
        """The body of an answer.

        Raises:
            DriverError: `timeout`, `refused`, `exception` or `malformed`, naming the address and the path.
        """
        where = f"{self._address.base_url}{path}"
        async with self._lock:
            loop = asyncio.get_running_loop()
            await asyncio.sleep(max(0.0, self._quiet_until - loop.time()))  # real time, as the device's patience is
            try:
                async with asyncio.timeout(self._address.timeout_s):
                    return await self._exchange(path, where)
            except (TimeoutError, httpx.TimeoutException) as error:
                raise DriverError(
                    f"{where}: no complete answer within {self._address.timeout_s:g} s", retry=True, kind="timeout"
                ) from error
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise _transport_error(where, error) from error
            finally:
                self._quiet_until = loop.time() + self._address.gap_s

    async def close(self) -> None:
        """Close the connection; may be called twice."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _exchange(self, path: str, where: str) -> bytes:
        client = self._opened()
        # Joined as text: httpx would lose the query of a path or escape what the device wants as it is.
        async with client.stream("GET", f"{self._address.base_url}{path}") as response:
            _check_status(response, where)
            if response.headers.get("content-encoding", "identity") != "identity":
                raise DriverError(f"{where}: a compressed answer, which nobody asked for", retry=True, kind="malformed")
            body = bytearray()
            async for part in response.aiter_raw():
                body += part
                if len(body) > MAX_ANSWER_BYTES:
                    raise DriverError(
                        f"{where}: more than {MAX_ANSWER_BYTES} bytes; this is no answer of such a device",
                        retry=True,
                        kind="malformed",
                    )
            return bytes(body)

    def _opened(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = httpx.AsyncClient(
                auth=self._address.credential(),
                verify=self._address.tls_context(),
                timeout=self._address.timeout_s,
                headers={"Accept": "application/json", "Accept-Encoding": "identity"},
                follow_redirects=False,
                trust_env=False,  # a device on the LAN is not behind the proxy of the environment
                limits=httpx.Limits(max_connections=1, max_keepalive_connections=1),
            )
        return self._client


class HttpDriver:
    """One device that answers requests.

    Args:
        endpoint: of the device; not closed by this driver.
        requests: what to ask.
        clock: of the agent.
    """

    def __init__(self, endpoint: HttpEndpoint, requests: tuple[BoundRequest, ...], *, clock: Clock) -> None:
        self._endpoint = endpoint
        self._requests = requests
        self._clock = clock

    async def read(self) -> DeviceAnswer:
        """Ask every request; what fails while another answers is not available, and the reading is flagged.

        Raises:
            DriverError: if none is answered, or the device refuses the credential.
        """
        values: dict[str, Value] = {}
        failures: list[DriverError] = []
        answered = 0
        missing: DriverError | None = None
        for request in self._requests:
            try:
                found = await self._ask(request)
                values |= {key: value for key, value in found.items() if value is not None}
                answered += 1
            except DriverError as error:
                if error.kind == "refused" and not error.retry:
                    raise
                if isinstance(error, NotFoundError) and request.spec.is_optional:
                    missing = error
                    continue
                failures.append(error)
                if error.kind == "timeout":
                    break  # who does not answer now is not asked for the rest
        if not answered and (reason := next(iter(failures), missing)):
            raise reason
        for request in self._requests:
            values = request.nothing | values
        return DeviceAnswer(MappingProxyType(values), Quality.PARTIAL if failures else Quality.GOOD)

    async def close(self) -> None:
        """The endpoint belongs to others too; its owner closes it."""

    async def _ask(self, request: BoundRequest) -> dict[str, Value]:
        try:
            body = await self._endpoint.get(request.path)
            return decode_answer(request, body, now=self._clock.now())
        except NotOkError as error:
            raise NotFoundError(str(error), retry=True, kind="exception") from error
        except PayloadError as error:
            kind = "stale" if isinstance(error, StaleError) else "malformed"
            raise DriverError(str(error), retry=True, kind=kind) from error


class _Bearer(httpx.Auth):
    """Puts the token into the header; shows it nowhere else."""

    def __init__(self, token: SecretStr) -> None:
        self._token = token

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the header."""
        request.headers["Authorization"] = f"Bearer {self._token.get_secret_value()}"
        yield request


class _PinnedObject(ssl.SSLObject):
    """A TLS connection that ends before the first byte of a request if the other side's certificate is not the known one."""

    def do_handshake(self) -> None:
        """Shake hands and compare."""
        super().do_handshake()
        certificate = self.getpeercert(binary_form=True)
        found = hashlib.sha256(certificate).hexdigest() if certificate else ""
        wanted = getattr(self.context, "fingerprint", "")
        if not wanted or not hmac.compare_digest(found, wanted):
            raise ssl.SSLCertVerificationError(f"the certificate's SHA-256 is {found}, not the one in the connection")


class _PinnedContext(ssl.SSLContext):
    fingerprint: str


def _pinned_context(fingerprint: str) -> ssl.SSLContext:
    digits = fingerprint.replace(":", "").replace(" ", "").lower()
    if len(digits) != _SHA256_HEX_DIGITS or not set(digits) <= set("0123456789abcdef"):
        raise DriverError(
            f"tls_fingerprint = {fingerprint!r}: write the {_SHA256_HEX_DIGITS} hexadecimal digits of the certificate's SHA-256",
            retry=False,
            kind="config",
        )
    context = _PinnedContext(ssl.PROTOCOL_TLS_CLIENT)
    # The certificate itself is compared, so neither its issuer nor its name nor its end date say more.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.fingerprint = digits
    context.sslobject_class = _PinnedObject
    return context


def _check_status(response: httpx.Response, where: str) -> None:
    status = response.status_code
    if response.is_success:
        return
    if response.is_redirect:
        raise DriverError(
            f"{where}: answered {status} and points elsewhere, which is not followed; correct base_url",
            retry=True,
            kind="refused",
        )
    if status in _CREDENTIAL_REFUSED:
        raise DriverError(
            f"{where}: answered {status}; correct username and password, or renew the token",
            retry=False,
            kind="refused",
        )
    if status == httpx.codes.NOT_FOUND:
        raise NotFoundError(
            f"{where}: answered 404; another family or an older firmware, or the interface is switched off in the device",
            retry=True,
            kind="exception",
        )
    passing = status in _PASSING or status >= httpx.codes.INTERNAL_SERVER_ERROR
    raise DriverError(f"{where}: answered {status}", retry=passing, kind="exception")


def _transport_error(where: str, error: Exception) -> DriverError:
    # The class says what happened where the library's text is empty; neither holds a header.
    said = f"{type(error).__name__} {error}".strip()
    if isinstance(error, httpx.ConnectError | httpx.InvalidURL | httpx.UnsupportedProtocol):
        return DriverError(f"{where}: {said}; check base_url and that the device runs", retry=True, kind="refused")
    return DriverError(f"{where}: {said}", retry=True, kind="malformed")
