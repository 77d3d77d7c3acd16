"""A path of `authorize`: a cache and the policy behind it, in process or across a network.

If the cache is down, the policy still decides. If the policy is down, the path raises.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

from soakd.errors import EngineError
from soakd.wire.spec import Operation
from soakd.worker.engines.protocol import Cache, Engine, Policy
from soakd.worker.engines.registry import is_async


class Path:
    """One cache and one policy engine, both in process, and counts of their answers.

    Args:
        cache: the cache's engine; None to decide every time.
        policy: the policy's engine.
        prefix: of every key; needed for a cache that others use too.

    Raises:
        EngineError: an engine is not a cache or policy.
    """

    def __init__(self, cache: Engine | None, policy: Engine, prefix: str = "") -> None:
        self.engines: tuple[Engine, ...] = (policy,) if cache is None else (cache, policy)
        engine: Engine = NoCache() if cache is None else cache
        for part, names in ((engine, ("get", "put", "drop")), (policy, ("decide",))):
            if not all(callable(getattr(part, name, None)) for name in names):
                raise EngineError(f'kind "authorize": {type(part).__name__} has no {" or ".join(names)}')
        self.cache = cast(Cache, engine)
        self.policy = cast(Policy, policy)
        self.prefix = prefix if getattr(cache, "is_shared", False) else ""
        self.hits = self.misses = self.cache_errors = 0
        # Looked up once: for a hit, finding a method would cost as much as calling it.
        self._get: Callable[..., Any] = self.cache.get
        self._put: Callable[..., Any] = self.cache.put
        self._drop: Callable[..., Any] = self.cache.drop
        self._counters = engine.counters

    def decide(self, op: Operation) -> Any:
        """Answer from the cache, or decide and store; an admin operation changes rights, so it drops the key first."""
        verb, name, given, _ = op
        key = f"{self.prefix}{verb}/{name}"  # verb and key determine the input (soakd.worker.load.tape)
        try:
            if verb == "admin":
                self._drop(key)
            decision = self._get(key)
        except Exception:  # noqa: BLE001 - whatever the cache raises, the policy can decide
            return self._decide_without_cache(given)
        if decision is not None:
            self.hits += 1
            return decision
        self.misses += 1
        decision = self.policy.decide(given)
        try:
            self._put(key, decision)
        except Exception:  # noqa: BLE001 - as above: the decision is made
            self.cache_errors += 1
        return decision

    def counters(self) -> Mapping[str, float]:
        """Return hits, misses, the cache's errors if any, and entries if the cache counts them."""
        counted: dict[str, float] = {"hits": self.hits, "misses": self.misses}
        if self.cache_errors:
            counted["cache_errors_total"] = self.cache_errors
        entries = self._counters().get("entries")
        return counted if entries is None else counted | {"entries": entries}

    def _decide_without_cache(self, given: Mapping[str, Any]) -> Any:
        self.cache_errors += 1
        return self.policy.decide(given)


class AsyncPath(Path):
    """A path whose cache or policy is awaited."""

    def __init__(self, cache: Engine | None, policy: Engine, prefix: str = "") -> None:
        super().__init__(cache, policy, prefix)
        of_cache = cache is not None and is_async(cache)
        self._get, self._put, self._drop = (
            awaited(method, of_cache) for method in (self.cache.get, self.cache.put, self.cache.drop)
        )
        self.decide_input = awaited(self.policy.decide, is_async(policy))

    async def decide(self, op: Operation) -> Any:
        """Answer as `Path.decide` does."""
        key = f"{self.prefix}{op.verb}/{op.key}"
        try:
            if op.verb == "admin":
                await self._drop(key)
            decision = await self._get(key)
        except Exception:  # noqa: BLE001 - whatever the cache raises, the policy can decide
            self.cache_errors += 1
            return await self.decide_input(op.input)
        if decision is not None:
            self.hits += 1
            return decision
        self.misses += 1
        decision = await self.decide_input(op.input)
        try:
            await self._put(key, decision)
        except Exception:  # noqa: BLE001 - as above: the decision is made
            self.cache_errors += 1
        return decision


class NoCache:
    """The cache of a path that has only a policy: it stores nothing."""

    def start(self) -> None:
        """Nothing."""

    def operation(self, op: Operation, /) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""

    def counters(self) -> Mapping[str, float]:
        """Count nothing."""
        return {}

    def get(self, _: str) -> None:
        """Return nothing."""

    def put(self, _: str, value: Any) -> None:
        """Store nothing."""

    def drop(self, _: str) -> None:
        """Nothing."""


def awaited(method: Callable[..., Any], is_awaitable: bool) -> Callable[..., Awaitable[Any]]:
    """Return the method as an awaitable one, whether it is async or not."""
    if is_awaitable:
        return method

    async def call(*args: Any) -> Any:
        return method(*args)

    return call
