"""Rate limits, counted in Redis for all processes together; in this process alone while Redis is away.

Fixed windows: cheap, and exact enough to stop guessing and floods. A client sees the state of its tightest limit in the headers
`RateLimit-Policy` and `RateLimit` (IETF draft-ietf-httpapi-ratelimit-headers), and `Retry-After` with a 429.
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Network, ip_address
from typing import Protocol

from redis.asyncio import Redis
from redis.exceptions import RedisError

from cloud.core.errors import RateLimitedError
from cloud.core.log import get_logger

_log = get_logger(__name__)

_COUNT = """
local used = redis.call('INCR', KEYS[1])
local left = redis.call('TTL', KEYS[1])
if left < 0 then
    redis.call('EXPIRE', KEYS[1], ARGV[1])
    left = tonumber(ARGV[1])
end
return {used, left}
"""
"""One answer instead of five, and never a window without an end."""

_MAX_LOCAL_KEYS = 50_000
_REDIS_PAUSE_S = 5.0


@dataclass(frozen=True, slots=True)
class Rate:
    """How often something may happen.

    Attributes:
        name: of the limit, in headers and keys.
        limit: times per window.
        window_s: length of a window.
    """

    name: str
    limit: int
    window_s: int


@dataclass(frozen=True, slots=True)
class Decision:
    """What is left of a limit after one more use."""

    rate: Rate
    used: int
    reset_s: int

    @property
    def allowed(self) -> bool:
        """Whether this use was within the limit."""
        return self.used <= self.rate.limit

    @property
    def remaining(self) -> int:
        """Uses left in this window."""
        return max(0, self.rate.limit - self.used)

    def headers(self) -> dict[str, str]:
        """The two rate-limit headers."""
        return {
            "RateLimit-Policy": f'"{self.rate.name}";q={self.rate.limit};w={self.rate.window_s}',
            "RateLimit": f'"{self.rate.name}";r={self.remaining};t={self.reset_s}',
        }


class Limiter(Protocol):
    """Counts uses."""

    async def hit(self, rate: Rate, key: str) -> Decision:
        """Count one use by `key`."""
        ...

    async def reset(self, rate: Rate, key: str) -> None:
        """Forget the uses by `key`."""
        ...


class LocalLimiter:
    """`Limiter` of one process."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """`now`: seconds that only grow."""
        self._now = now
        self._windows: dict[tuple[str, str], tuple[float, int]] = {}

    async def hit(self, rate: Rate, key: str) -> Decision:
        """Count one use."""
        now = self._now()
        ends, used = self._windows.get((rate.name, key), (0.0, 0))
        if ends <= now:
            self._make_room(now)
            ends, used = now + rate.window_s, 0
        self._windows[rate.name, key] = (ends, used + 1)
        return Decision(rate, used + 1, max(1, round(ends - now)))

    async def reset(self, rate: Rate, key: str) -> None:
        """Forget."""
        self._windows.pop((rate.name, key), None)

    def _make_room(self, now: float) -> None:
        if len(self._windows) < _MAX_LOCAL_KEYS:
            return
        self._windows = {key: window for key, window in self._windows.items() if window[0] > now}
        # Still full: the oldest go. An attacker with so many addresses gains one fresh window, not memory.
        for key in list(self._windows)[: max(0, len(self._windows) - _MAX_LOCAL_KEYS + 1)]:
            del self._windows[key]


class RedisLimiter:
    """`Limiter` of all processes together; falls back to this process for a few seconds when Redis does not answer."""

    def __init__(self, redis: Redis, *, now: Callable[[], float] = time.monotonic) -> None:
        """`redis`: a client with short time-outs."""
        self._redis = redis
        self._count = redis.register_script(_COUNT)
        self._now = now
        self._local = LocalLimiter(now)
        self._away_until = 0.0

    async def hit(self, rate: Rate, key: str) -> Decision:
        """Count one use."""
        if self._now() < self._away_until:
            return await self._local.hit(rate, key)
        name = _redis_key(rate, key)
        try:
            used, ttl = await self._count(keys=[name], args=[rate.window_s])
        except RedisError as error:
            self._step_aside(error)
            return await self._local.hit(rate, key)
        return Decision(rate, int(used), max(1, int(ttl)))

    async def reset(self, rate: Rate, key: str) -> None:
        """Forget."""
        await self._local.reset(rate, key)
        if self._now() < self._away_until:
            return
        try:
            await self._redis.delete(_redis_key(rate, key))
        except RedisError as error:
            self._step_aside(error)

    def _step_aside(self, error: RedisError) -> None:
        self._away_until = self._now() + _REDIS_PAUSE_S
        _log.warning(
            "rate_limits_are_local", error=str(error), way_out="limits count per process until Redis answers again"
        )


def client_key(host: str) -> str:
    """Whom an address is counted as: itself, or its /64 of IPv6, since a household has 2^64 addresses of these to choose from."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if isinstance(address, IPv4Address):
        return str(address)
    mapped = address.ipv4_mapped
    return str(mapped) if mapped else str(IPv6Network((int(address), 64), strict=False))


def _redis_key(rate: Rate, key: str) -> str:
    # Hashed: addresses of people do not belong into a cache.
    return f"solarhub:rate:{rate.name}:{hashlib.sha256(key.encode()).hexdigest()[:32]}"


def refuse_if_over(decision: Decision, *, code: str | None = None) -> None:
    """Raise `RateLimitedError` for a use that is over its limit."""
    if not decision.allowed:
        raise RateLimitedError(
            f"More than {decision.rate.limit} in {decision.rate.window_s} s; try again in {decision.reset_s} s.",
            code=code,
            retry_after_s=decision.reset_s,
        )
