"""Secrets: hashed when they only have to be recognised, encrypted when they have to be used again.

Everything hangs on the installation's `secret_key`: each purpose has its own key derived from it (HKDF-SHA256), so that a
signature made for one purpose is worth nothing in another.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from shared.errors import SolarHubError

MASK = "***"
"""What a stored secret looks like in an answer; sent back unchanged, it means "keep what you have"."""

_ENCRYPTED = "enc:v1:"
_NONCE_BYTES = 12


class DecryptionError(SolarHubError):
    """A stored secret does not open with the present SOLARHUB_SECRET_KEY: restore the key, or enter the secret again."""


def new_token(n_bytes: int = 32) -> str:
    """A random URL-safe token of `n_bytes` bytes of entropy (256 bits by default)."""
    return secrets.token_urlsafe(n_bytes)


def token_hash(token: str) -> str:
    """SHA-256 of a token in hex, for storage and look-up; a random 256-bit token needs no salt and no slow hash."""
    return hashlib.sha256(token.encode()).hexdigest()


def same(left: str | bytes, right: str | bytes) -> bool:
    """Compare two secrets in constant time."""
    left_bytes = left.encode() if isinstance(left, str) else left
    right_bytes = right.encode() if isinstance(right, str) else right
    return hmac.compare_digest(left_bytes, right_bytes)


def derive_key(secret_key: bytes, purpose: str) -> bytes:
    """A 32-byte key for one purpose."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=f"solar-hub/{purpose}".encode()).derive(secret_key)


class SecretBox:
    """Encrypts single values with AES-256-GCM; the context (`devices.<id>`) is authenticated, so a value cannot be moved."""

    def __init__(self, secret_key: bytes) -> None:
        """`secret_key`: the installation's 32 bytes."""
        key = derive_key(secret_key, "secret-box")
        self._aead = AESGCM(key)
        self._key_id = hashlib.sha256(key).hexdigest()[:8]

    def encrypt(self, clear: str, *, context: str) -> str:
        """Encrypt a text; the result starts with `enc:v1:` and the key's id."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = nonce + self._aead.encrypt(nonce, clear.encode(), context.encode())
        return f"{_ENCRYPTED}{self._key_id}:{base64.urlsafe_b64encode(sealed).decode()}"

    def decrypt(self, stored: str, *, context: str) -> str:
        """Undo `encrypt`.

        Raises:
            DecryptionError: if the value was written with another key, for another context, or was damaged.
        """
        key_id, _, body = stored.removeprefix(_ENCRYPTED).partition(":")
        if not stored.startswith(_ENCRYPTED) or key_id != self._key_id:
            raise DecryptionError(
                f"the secret of {context} was written with key {key_id[:8]!r}, the present key is {self._key_id!r}:"
                " restore SOLARHUB_SECRET_KEY, or enter the secret again"
            )
        try:
            sealed = base64.b64decode(body, altchars=b"-_", validate=True)
            return self._aead.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], context.encode()).decode()
        except (InvalidTag, ValueError):
            raise DecryptionError(f"the secret of {context} is damaged or belongs elsewhere: enter it again") from None

    def seal_fields(
        self,
        document: Mapping[str, Any],
        secret_fields: Iterable[str],
        *,
        context: str,
        stored: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """A copy of a JSON object for storage, its secret top-level fields encrypted.

        Objects (`webhook_headers`) are encrypted value by value. A field that arrives as `MASK` keeps the value of `stored`.
        """
        sealed = dict(document)
        for field in secret_fields:
            value = sealed.get(field)
            if value is None:
                continue
            old = (stored or {}).get(field)
            if isinstance(value, Mapping):
                old_items = old if isinstance(old, Mapping) else {}
                sealed[field] = {
                    key: self._seal(item, old_items.get(key), context=f"{context}.{field}.{key}")
                    for key, item in value.items()
                }
            else:
                sealed[field] = self._seal(value, old, context=f"{context}.{field}")
            if sealed[field] is None:
                del sealed[field]
        return sealed

    def open_fields(self, document: Mapping[str, Any], secret_fields: Iterable[str], *, context: str) -> dict[str, Any]:
        """Undo `seal_fields`, for whoever has to use the secret (the agent's plan, a delivery).

        Raises:
            DecryptionError: as `decrypt`.
        """
        opened = dict(document)
        for field in secret_fields:
            value = opened.get(field)
            if isinstance(value, Mapping):
                opened[field] = {
                    key: self.decrypt(item, context=f"{context}.{field}.{key}") for key, item in value.items()
                }
            elif value is not None:
                opened[field] = self.decrypt(value, context=f"{context}.{field}")
        return opened

    def _seal(self, value: object, old: object, *, context: str) -> str | None:
        if value == MASK:
            return old if isinstance(old, str) else None
        return self.encrypt(str(value), context=context)


def mask_fields(document: Mapping[str, Any], secret_fields: Iterable[str]) -> dict[str, Any]:
    """A copy of a JSON object for an answer: secret fields that are set read `***`."""
    masked = dict(document)
    for field in secret_fields:
        value = masked.get(field)
        if isinstance(value, Mapping):
            masked[field] = dict.fromkeys(value, MASK)
        elif value is not None:
            masked[field] = MASK
    return masked
