"""What an engine is to the rest of soakd, and what caches and policies are to `authorize`."""

from collections.abc import Awaitable, Mapping
from typing import Any, Protocol

from soakd.wire.spec import Operation


class Engine(Protocol):
    """The component under soak, as its adapter shows it.

    Every method but `counters` may be a coroutine function; what `operation` is decides the driver (`is_async`).

    An engine that is bounded by design may say so in attributes: `capacity_entries` and `bytes_per_entry`, or
    `capacity_bytes`. A filling cache can then be told from a leak.

    It may have `take_findings() -> list[dict]`: what it noticed since the last call, each {"what": a word, "detail": a
    line, ...}, of which 20 in a life become incidents of the run.
    """

    def start(self) -> Awaitable[None] | None:
        """Make ready; called once, before the baseline."""

    def operation(self, op: Operation, /) -> Any:
        """Perform one operation; whatever it raises counts as an error of the engine."""

    def close(self) -> Awaitable[None] | None:
        """Give everything back; called once, at the beginning of the close phase."""

    def counters(self) -> Mapping[str, float]:
        """Return what the engine counts; cheap enough for every sample."""


class Cache(Protocol):
    """A cache as `authorize` uses it; an asynchronous one returns awaitables."""

    def get(self, key: str, /) -> Any:
        """Return the value of a key, or None."""

    def put(self, key: str, value: Any, /) -> Any:
        """Store a value, which is not None."""

    def drop(self, key: str, /) -> Any:
        """Forget a key."""


class Policy(Protocol):
    """A policy engine as `authorize` uses it; an asynchronous one returns awaitables."""

    def decide(self, given: Mapping[str, Any], /) -> Any:
        """Return the decision on one input."""
