"""What a browser may do with the local page: read it, from this LAN, and embed it nowhere."""

from collections.abc import Collection
from ipaddress import ip_address

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class LanGuard:
    """ASGI middleware: refuses writes and foreign host names, and adds the security headers.

    A page on the internet can point its own name at the box's address (DNS rebinding) and would then read the box as if it were
    itself: such a request carries that name in `Host`, so only names that a public DNS server cannot own are taken.
    """

    def __init__(self, app: ASGIApp, *, allowed_hosts: Collection[str]) -> None:
        self._app = app
        self._allowed = allowed_hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(SECURITY_HEADERS)
                headers["Cache-Control"] = "max-age=3600" if scope["path"].startswith("/static/") else "no-store"
            await send(message)

        await (self._refusal(scope) or self._app)(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        host = Headers(scope=scope).get("host", "")
        if not is_local_name(host_name(host), allowed=self._allowed):
            return PlainTextResponse(
                f"host {host!r} is not a name of this box; open it by its IP address or its .local name\n",
                status_code=421,
            )
        if scope["method"] not in ("GET", "HEAD"):
            return PlainTextResponse(
                f"{scope['method']} is not possible here: this page only shows\n",
                status_code=405,
                headers={"Allow": "GET, HEAD"},
            )
        return None


def host_name(header: str) -> str:
    """The name or address in a `Host` header, without port, brackets and a closing dot."""
    if header.startswith("["):
        return header[1:].partition("]")[0]
    return header.partition(":")[0].lower().removesuffix(".")


def is_local_name(name: str, *, allowed: Collection[str]) -> bool:
    """Whether a browser on the LAN may call the box by this name: an IP address, localhost, *.local, or a configured name."""
    if name == "localhost" or name in allowed or (name.endswith(".local") and name != ".local"):
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
