"""A device's HTTP server on loopback, byte by byte, so that it can also do what no library would."""

import asyncio
import hashlib
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Answerer = Callable[[str, dict[str, str]], bytes]


def answer(body: object, *, status: str = "200 OK", headers: str = "") -> bytes:
    """A whole answer; a body that is no bytes is written as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(content)}\r\n{headers}\r\n".encode() + content


@dataclass
class Device:
    """What was asked, and how many at once.

    Attributes:
        answers: path -> whole answer, or what makes it from path and headers.
        drip_s: pause after each byte of an answer.
    """

    answers: dict[str, bytes | Answerer]
    port: int = 0
    drip_s: float = 0.0
    delay_s: float = 0.0
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    most_at_once: int = 0
    _at_once: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                self._at_once += 1
                self.most_at_once = max(self.most_at_once, self._at_once)
                await asyncio.sleep(self.delay_s)
                await self._answer(head.decode(), writer)
                self._at_once -= 1
        except (OSError, asyncio.IncompleteReadError) as error:
            del error  # the client has gone, as clients do
        finally:
            writer.close()

    async def _answer(self, head: str, writer: asyncio.StreamWriter) -> None:
        first, *lines = head.rstrip().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        path = first.split(" ")[1]
        self.asked.append((path, headers))
        said = self.answers.get(path, answer({}, status="404 Not Found"))
        content = said if isinstance(said, bytes) else said(path, headers)
        if not self.drip_s:
            writer.write(content)
        for byte in content if self.drip_s else b"":
            writer.write(bytes([byte]))
            await asyncio.sleep(self.drip_s)
        await writer.drain()


@asynccontextmanager
async def running(device: Device, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Device]:
    server = await asyncio.start_server(device.serve, "127.0.0.1", 0, ssl=tls)
    device.port = server.sockets[0].getsockname()[1]
    try:
        yield device
    finally:
        server.close()


def digest_guard(body: bytes, *, username: str, password: str) -> Answerer:
    """Asks for digest authentication with SHA-256 and checks it (RFC 7616)."""
    realm, nonce = "device", "60dc59c6"
    challenge = f'WWW-Authenticate: Digest qop="auth", realm="{realm}", nonce="{nonce}", algorithm=SHA-256\r\n'

    def guarded(path: str, headers: dict[str, str]) -> bytes:
        kind, _, rest = headers.get("authorization", "").partition(" ")
        if kind != "Digest":
            return answer({}, status="401 Unauthorized", headers=challenge)
        said = {name: value.strip('"') for name, _, value in (part.strip().partition("=") for part in rest.split(","))}
        ha1 = _sha256(f"{username}:{realm}:{password}")
        ha2 = _sha256(f"GET:{path}")
        wanted = _sha256(f"{ha1}:{nonce}:{said['nc']}:{said['cnonce']}:auth:{ha2}")
        if (said["username"], said["response"]) != (username, wanted):
            return answer({}, status="401 Unauthorized", headers=challenge)
        return body

    return guarded


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class SelfSigned:
    """A certificate that a device has made for itself, with a name that is not its address."""

    file: Path
    fingerprint: str
    context: ssl.SSLContext


def self_signed(folder: Path, *, name: str = "envoy.local", has_address: bool = False) -> SelfSigned:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    names = [x509.DNSName("localhost" if has_address else name)]
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / f"{name}.pem"
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    file.write_bytes(
        pem
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    ca_file = folder / f"{name}.crt"
    ca_file.write_bytes(pem)
    return SelfSigned(ca_file, certificate.fingerprint(hashes.SHA256()).hex(), context)
