"""Settings of every cloud process, from environment variables named `SOLARHUB_…`; built once by the entry point and passed down."""

import base64
import binascii
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AnyHttpUrl, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.errors import SolarHubError

_PREFIX = "SOLARHUB_"
_KEY_BYTES = 32


class SettingsError(SolarHubError):
    """An environment variable is missing or wrong; the message names it and the way out."""


class Settings(BaseSettings):
    """Everything that differs between two installations.

    Attributes:
        database_url: `postgresql://user:password@host:port/database` of the application role, which must not be able to bypass
            row-level security.
        admin_database_url: the same database as the role that owns the tables; only `migrate`, `create-admin` and backups use it.
        read_database_url: a streaming replica, as the application role: reads of telemetry go there while it answers.
        redis_url: `redis://:password@host:port/0`; jobs, live events and rate limits. Losing it loses no data.
        secret_key: 32 random bytes in base64. Encrypts stored device passwords and derives the keys that sign tokens and
            cursors. All processes of one installation share it; whoever has it and the database has everything.
        jwt_private_key: Ed25519 key in PEM for access tokens; derived from `secret_key` when not given.
        files_dir: where reports, archives and other files are kept.
        pack_after_days: whole days after which a UTC day of readings is packed into arrays.
        public_url: address that people use, for links and for the `iss` of tokens.
        max_body_bytes: largest request body, as received.
        db_pool_size: connections kept open per process.
        db_max_overflow: connections opened beyond that under load.
        db_pool_timeout_s: how long a request waits for a connection before it is told to come back.
        rate_limit_account_per_minute: requests per account.
        rate_limit_address_per_minute: requests per client address, before login.
        login_attempts: failed logins per account and address within 15 minutes before that pair has to wait.
        proxy_addresses: addresses of reverse proxies whose `X-Forwarded-For` is believed; "" believes nobody.
        log_json: JSON lines for machines; False prints for people.
        log_level: smallest level that is written.
    """

    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True, extra="ignore", env_ignore_empty=True)

    database_url: SecretStr
    admin_database_url: SecretStr | None = None
    read_database_url: SecretStr | None = None
    redis_url: SecretStr
    secret_key: SecretStr
    jwt_private_key: SecretStr | None = None
    files_dir: Path = Path("/var/lib/solarhub/files")
    pack_after_days: Annotated[int, Field(ge=2, le=30)] = 2
    public_url: AnyHttpUrl = AnyHttpUrl("http://127.0.0.1:8000")
    max_body_bytes: Annotated[int, Field(ge=1_024)] = 2_000_000
    db_pool_size: Annotated[int, Field(ge=1, le=200)] = 5
    db_max_overflow: Annotated[int, Field(ge=0, le=200)] = 10
    db_pool_timeout_s: Annotated[float, Field(gt=0, le=60)] = 5.0
    rate_limit_account_per_minute: Annotated[int, Field(ge=1)] = 600
    rate_limit_address_per_minute: Annotated[int, Field(ge=1)] = 1_200
    login_attempts: Annotated[int, Field(ge=1, le=100)] = 5
    proxy_addresses: str = ""
    log_json: bool = True
    log_level: Annotated[str, Field(pattern="^(debug|info|warning|error)$")] = "info"

    @field_validator("database_url", "admin_database_url", "read_database_url")
    @classmethod
    def _is_postgres(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not url.get_secret_value().startswith(
            ("postgresql://", "postgres://", "postgresql+asyncpg://")
        ):
            raise ValueError("must start with postgresql://, as in postgresql://user:password@host:5432/solarhub")
        return url

    @field_validator("redis_url")
    @classmethod
    def _is_redis(cls, url: SecretStr) -> SecretStr:
        if not url.get_secret_value().startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("must start with redis://, rediss:// or unix://, as in redis://:password@127.0.0.1:6379/0")
        return url

    @field_validator("secret_key")
    @classmethod
    def _is_a_key(cls, key: SecretStr) -> SecretStr:
        try:
            raw = base64.b64decode(key.get_secret_value(), validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        if len(raw) != _KEY_BYTES:
            raise ValueError(f"must be {_KEY_BYTES} random bytes in base64; `solarhub new-secret-key` prints one")
        return key

    @property
    def secret_key_bytes(self) -> bytes:
        """The 32 bytes of `secret_key`."""
        return base64.b64decode(self.secret_key.get_secret_value())

    @property
    def admin_url(self) -> str:
        """The owner's database URL, or the application's when there is only one."""
        return (self.admin_database_url or self.database_url).get_secret_value()


def load_settings(overrides: Mapping[str, Any] | None = None) -> Settings:
    """Read the settings from the environment.

    Args:
        overrides: values by field name that win over the environment (tests and the demo pass theirs).

    Raises:
        SettingsError: naming every variable that is missing or wrong, never its value.
    """
    try:
        return Settings(**(overrides or {}))
    except ValidationError as error:
        raise SettingsError(_explain(error)) from None


def _explain(error: ValidationError) -> str:
    lines = []
    for problem in error.errors(include_url=False, include_input=False, include_context=False):
        name = _PREFIX + "_".join(str(part) for part in problem["loc"]).upper()
        if problem["type"] == "missing":
            lines.append(f"{name} is not set; set it (see cloud/README.md, Settings)")
        else:
            lines.append(f"{name} is wrong: {problem['msg'].removeprefix('Value error, ')}")
    return "; ".join(lines)
