"""The protocol of an engine, and those of the caches and policies that `authorize` uses."""

from collections.abc import Awaitable, Mapping
from typing import Any, Protocol

from soakd.wire.spec import Operation


class Engine(Protocol):
    """The component under soak, behind its adapter.

    Every method but `counters` may be a coroutine function; `operation` decides which driver is used (`is_async`).

    An engine that is bounded by design may declare it in attributes: `capacity_entries` and `bytes_per_entry`, or
    `capacity_bytes`. The judge can then distinguish a filling cache from a leak.

    It may have `take_findings() -> list[dict]`, which returns what it noticed since the last call, each {"what": a
    word, "detail": a line, ...}; up to 20 per life become incidents of the run.
    """

    def start(self) -> Awaitable[None] | None:
        """Get ready; called once, before the baseline."""

    def operation(self, op: Operation, /) -> Any:
        """Perform one operation; anything it raises counts as an error of the engine."""

    def close(self) -> Awaitable[None] | None:
        """Release everything; called once, at the beginning of the close phase."""

    def counters(self) -> Mapping[str, float]:
        """Return the engine's counters; cheap enough for every sample."""


class Cache(Protocol):
    """A cache as `authorize` uses it; an asynchronous one returns awaitables."""

    def get(self, key: str, /) -> Any:
        """Return the value of a key, or None."""

    def put(self, key: str, value: Any, /) -> Any:
        """Store a value, which is not None."""

    def drop(self, key: str, /) -> Any:
        """Drop a key."""


class Policy(Protocol):
    """A policy engine as `authorize` uses it; an asynchronous one returns awaitables."""

    def decide(self, given: Mapping[str, Any], /) -> Any:
        """Return the decision on one input."""
