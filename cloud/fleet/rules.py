"""Claim codes and credentials: how they look and how they are read back. Random bytes are arguments."""

import re
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from shared.wire import CLAIM_CODE_PATTERN

CLAIM_CODE_LIFETIME = timedelta(minutes=15)
CLAIM_CODE_ALPHABET = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
"""Without 0/O and 1/I/L, which are read wrongly from a telephone's screen."""

CLAIM_CODE_BYTES = 16
CREDENTIAL_BYTES = 32
CREDENTIAL_PREFIX = "she_"

_CREDENTIAL = re.compile(r"she_([0-9a-f]{32})_([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True)
class Credential:
    """What an agent shows as its bearer token: who it is, and the secret that proves it."""

    gateway_id: UUID
    secret: str

    @property
    def text(self) -> str:
        """`she_<gateway id, 32 hex digits>_<secret>`: the prefix lets secret scanners find a leaked one."""
        return f"{CREDENTIAL_PREFIX}{self.gateway_id.hex}_{self.secret}"


def claim_code(random: bytes) -> str:
    """Write random bytes as a code XXXX-XXXX (31^8, about 39.6 bits).

    Args:
        random: `CLAIM_CODE_BYTES` bytes from a cryptographic source; 128 bits make the modulo's bias vanish.
    """
    number = int.from_bytes(random)
    letters = []
    for _ in range(8):
        number, digit = divmod(number, len(CLAIM_CODE_ALPHABET))
        letters.append(CLAIM_CODE_ALPHABET[digit])
    return "".join(letters[:4]) + "-" + "".join(letters[4:])


def normalise_claim_code(typed: str) -> str | None:
    """Read a code as people type it (lower case, without the dash), or None if it can be none."""
    compact = re.sub(r"[\s-]", "", typed).upper()
    code = f"{compact[:4]}-{compact[4:]}"
    return code if re.fullmatch(CLAIM_CODE_PATTERN, code) else None


def parse_credential(text: str) -> Credential | None:
    """Read a bearer token back, or None if it is no agent's credential."""
    match = _CREDENTIAL.fullmatch(text)
    return Credential(UUID(hex=match[1]), match[2]) if match else None
