"""`cache.redis`: a real Redis server through redis.asyncio, as a service would use it.

The server sets the bound, not the client. A private server is started with a `maxmemory` that fits `capacity` entries
and evicts by sampling; a user's own server keeps its own bound, and the entries that a run leaves in it stay.
"""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from soakd.errors import BackendError, EngineError
from soakd.wire.addresses import without_credentials
from soakd.wire.spec import Operation
from soakd.worker.engines.attempts import Attempts, reason_of
from soakd.worker.engines.undefined import UNDEFINED

COUNT_EVERY_S = 1.0
"""DBSIZE is O(1); `counters()` returns its last answer."""
MOST_VALUE_BYTES = 4 << 20
SCHEMES = ("unix://", "redis://", "rediss://")


class RedisCache:
    """A read-through cache: writes store, admin operations drop a key, as in `cache.native`.

    Every command may be repeated: each names what it sets or deletes.

    Args:
        capacity: entries that a private server has room for, roughly; the daemon sets it up.
        ttl: seconds that an entry lives; None for ever.
        timeout: seconds for each step of one attempt: waiting for a connection, connecting, and the answer.
        retries: attempts after a failed one; redis-py's own retries are off.
        connections: the most connections at once.
        url: where the server answers: unix://PATH, redis://HOST:PORT/DB or rediss://.

    Raises:
        EngineError: the address is missing or of another kind.
        ImportError: this interpreter has no redis.
    """

    is_shared = True
    """Other processes see the same entries, so whoever shares the cache needs a key prefix of its own."""

    def __init__(
        self, capacity: int = 10_000, ttl: float | None = None, timeout: float = 1.0, retries: int = 2,
        connections: int = 16, url: str | None = None,
    ) -> None:  # fmt: skip
        import redis.asyncio
        import redis.backoff
        import redis.retry

        if not url or not url.startswith(SCHEMES):
            raise EngineError(f'kind "cache.redis": url: must begin with {" or ".join(SCHEMES)}, got "{url or ""}"')
        self.server = without_credentials(url)
        errors = redis.exceptions
        self._attempts = Attempts(
            self.server, retries, lost=(errors.ConnectionError, OSError),
            timed_out=(errors.TimeoutError, TimeoutError),
        )  # fmt: skip
        self._refusals = (errors.RedisError, ValueError)
        self._options: Mapping[str, Any] = {
            "url": url, "max_connections": connections, "timeout": timeout, "socket_timeout": timeout,
            "socket_connect_timeout": timeout, "retry": redis.asyncio.retry.Retry(redis.backoff.NoBackoff(), 0),
        }  # fmt: skip
        self._redis = redis.asyncio
        self._client: Any = None
        self._lifetime_ms = None if ttl is None else max(1, round(ttl * 1000))
        self._entries: int | None = None
        self._counting: asyncio.Task[None] | None = None
        self._is_closing = False
        self._capacity = capacity
        self._hits = self._misses = self._inserts = 0

    async def start(self) -> None:
        """Check that the server answers.

        Raises:
            BackendError: it does not answer.
            EngineError: the server is not Redis, or rejects the login.
        """
        try:
            self._client = self._redis.Redis.from_pool(self._redis.BlockingConnectionPool.from_url(**self._options))
            self._entries = _whole(await self._attempts(self._client.dbsize))
        except BackendError:
            raise
        except self._refusals as error:
            raise EngineError(f"{self.server}: {reason_of(error)}") from error
        self._counting = asyncio.get_running_loop().create_task(self._count())

    async def operation(self, op: Operation, /) -> Any:
        """Read, write or drop one key."""
        if op.verb == "read":
            value = await self.get(op.key)
            if value is None:
                self._misses += 1
                await self._store(op)
            else:
                self._hits += 1
            return value
        return await (self._store(op) if op.verb == "write" else self.drop(op.key))

    async def get(self, key: str) -> Any:
        """Return the value of a key, or None.

        Raises:
            BackendError: no answer after all attempts.
            EngineError: the value was not stored by this engine.
        """
        stored = await self._attempts(self._client.get, key)
        return None if stored is None else decoded(stored)

    async def put(self, key: str, value: Any) -> None:
        """Store bytes, a JSON value, or UNDEFINED."""
        await self._attempts(self._client.set, key, encoded(value), None, self._lifetime_ms)

    async def drop(self, key: str) -> bool:
        """Drop a key; return whether it was there."""
        return bool(await self._attempts(self._client.delete, key))

    async def close(self) -> None:
        """Close the connections; the entries are the server's."""
        self._is_closing = True
        if self._counting is not None:
            self._counting.cancel()
            await asyncio.gather(self._counting, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()

    def counters(self) -> Mapping[str, float]:
        """Return hits, misses and stores, the counts of attempts, and the server's entries if it reports them."""
        counted = {
            "hits": self._hits, "misses": self._misses, "inserts": self._inserts, **self._attempts.counters(),
        }  # fmt: skip
        return counted if self._entries is None else counted | {"entries": self._entries}

    async def _store(self, op: Operation) -> None:
        self._inserts += 1
        await self.put(op.key, bytes(op.size_bytes))

    async def _count(self) -> None:
        """Ask for the number of entries from time to time; without an answer it is unknown."""
        while not self._is_closing:  # redis-py sometimes turns a cancellation into an error of its own
            await asyncio.sleep(COUNT_EVERY_S)
            try:
                self._entries = _whole(await self._client.dbsize())
            except (*self._refusals, OSError):
                self._entries = None


def _whole(answer: object) -> int:
    if not isinstance(answer, int):
        raise ValueError(f"DBSIZE answered {type(answer).__name__}")
    return answer


def encoded(value: Any) -> bytes:
    """Encode a value for the server: a letter for its kind, then its bytes."""
    if isinstance(value, bytes):
        return b"b" + value
    if value is UNDEFINED:
        return b"u"
    return b"j" + json.dumps(value, separators=(",", ":")).encode()


def decoded(stored: object) -> Any:
    """Decode a value that `encoded` wrote.

    Raises:
        EngineError: it was not stored by `encoded`.
    """
    if not isinstance(stored, bytes):
        raise EngineError(f"a value of type {type(stored).__name__}")
    kind, rest = stored[:1], stored[1:]
    if kind == b"b" and len(rest) <= MOST_VALUE_BYTES:
        return rest
    if kind == b"u":
        return UNDEFINED
    try:
        if kind == b"j":
            return json.loads(rest)
    except (ValueError, RecursionError):
        pass
    raise EngineError(f"a value that was not stored here: {len(stored)} bytes, {stored[:20]!r}")
