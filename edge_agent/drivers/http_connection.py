"""A device's connection over HTTP, checked, and the driver made of it."""

from typing import Any
from urllib.parse import parse_qsl, urlsplit

from pydantic import ConfigDict, Field, SecretStr

from edge_agent.clock import Clock
from edge_agent.drivers.base import DriverError
from edge_agent.drivers.connection import Connection, parse_connection
from edge_agent.drivers.http import HttpAddress, HttpDriver, HttpEndpoint
from edge_agent.drivers.http_codec import bind_requests
from edge_agent.drivers.json_values import TemplateError
from edge_agent.profiles.requests import HttpMap
from shared.wire import PlanDevice


class HttpConnection(Connection):
    """`http`.

    Attributes:
        base_url: scheme, host, port, and a path if the device lives below one; its query fills the names in braces of the map
            (`http://10.0.0.7/?inverter=2`) and is not sent.
        timeout_seconds: for a whole answer; None for the map's.
        verify_tls: False takes any certificate; better is `ca_file` or `tls_fingerprint`.
        ca_file: certificates to trust; None for the system's.
        tls_fingerprint: SHA-256 of the device's own certificate, for one that it has signed itself.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    base_url: str = Field(pattern=r"^https?://[^\s/]+(/\S*)?$")
    timeout_seconds: float | None = Field(default=None, gt=0, le=60)
    username: str | None = None
    password: SecretStr | None = None
    token: SecretStr | None = None
    verify_tls: bool = True
    ca_file: str | None = None
    tls_fingerprint: str | None = None

    @property
    def root(self) -> str:
        """What comes before the map's paths."""
        parts = urlsplit(self.base_url)
        return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"

    @property
    def names(self) -> dict[str, object]:
        """What may stand in a map's braces."""
        return {**dict(parse_qsl(urlsplit(self.base_url).query)), **(self.model_extra or {})}

    def address(self, http_map: HttpMap) -> HttpAddress:
        """How to reach the device in the way of its family."""
        return HttpAddress(
            base_url=self.root,
            auth=http_map.auth,
            username=self.username or http_map.username,
            password=self.password or None,
            token=self.token or None,
            timeout_s=self.timeout_seconds or http_map.timeout_s,
            gap_s=http_map.gap_s,
            verify_tls=self.verify_tls,
            ca_file=self.ca_file,
            fingerprint=self.tls_fingerprint,
        )


class HttpEndpoints:
    """The servers that the plan's devices live behind, one for each address and credential."""

    def __init__(self) -> None:
        self._known: dict[HttpAddress, HttpEndpoint] = {}

    def driver(self, device: PlanDevice, http_map: HttpMap, *, clock: Clock) -> HttpDriver:
        """A driver for one device; opens nothing yet.

        Raises:
            DriverError: `config`, naming the device, the field and what is wrong; a credential is not repeated.
        """
        connection = _connection_of(device)
        address = connection.address(http_map)
        try:
            address.tls_context()
            requests = bind_requests(http_map, connection.names, device_type=device.device_type)
        except (DriverError, TemplateError) as error:
            raise DriverError(f"{device.name}: connection: {error}", retry=False, kind="config") from error
        return HttpDriver(self._known.setdefault(address, HttpEndpoint(address)), requests, clock=clock)

    async def close(self) -> None:
        """Close all connections; may be called twice."""
        known, self._known = self._known, {}
        for endpoint in known.values():
            await endpoint.close()


_SECRETS = ("password", "token")


def _connection_of(device: PlanDevice) -> HttpConnection:
    given = device.connection
    if "@" in str(given.get("base_url")).partition("//")[2].partition("/")[0]:
        raise DriverError(
            f"{device.name}: connection.base_url names a user, who would stand in every log; use username and password",
            retry=False,
            kind="config",
        )
    # Checked without the secrets, so that no error's text can repeat them.
    open_part: dict[str, Any] = {key: value for key, value in given.items() if key not in _SECRETS}
    connection = parse_connection(HttpConnection, open_part, device=device.name)
    secrets = {key: SecretStr(str(given[key])) for key in _SECRETS if given.get(key) is not None}
    return connection.model_copy(update=secrets)
