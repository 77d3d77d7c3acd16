"""`cache.python`: cachetools, which a Python service would otherwise use.

It differs from `cache.native` with a time to live: it is then cachetools' TTLCache, with one time to live for all
entries, which evicts the least recently used entry but keeps expired ones until an insert meets them.
"""

import time
from collections.abc import Mapping
from typing import Any

from soakd.wire.spec import Operation

STRUCTURE_BYTES = 250
"""Entries in three dictionaries and an order (measured at 100,000 entries)."""
TYPICAL_VALUE_BYTES = 33 + 328


class PythonCache:
    """A read-through cache: writes store, admin operations drop a key, as in `cache.native`.

    Args:
        capacity: entries.
        ttl: seconds that an entry lives; None for ever.

    Raises:
        ImportError: this interpreter has no cachetools.
    """

    def __init__(self, capacity: int = 10_000, ttl: float | None = None) -> None:
        import cachetools

        self.capacity_entries = capacity
        self.bytes_per_entry = STRUCTURE_BYTES + TYPICAL_VALUE_BYTES
        self._cache: Any = (
            cachetools.LRUCache(capacity) if ttl is None else cachetools.TTLCache(capacity, ttl, time.monotonic)
        )
        self.get = self._cache.get
        self.put = self._cache.__setitem__
        self._hits = self._misses = self._inserts = 0

    def start(self) -> None:
        """Nothing to start."""

    def operation(self, op: Operation, /) -> Any:
        """Read, write or drop one key."""
        if op.verb == "read":
            value = self._cache.get(op.key)
            if value is None:
                self._misses += 1
                self._store(op)
            else:
                self._hits += 1
            return value
        return self._store(op) if op.verb == "write" else self.drop(op.key)

    def drop(self, key: str) -> bool:
        """Drop a key; return whether it was there."""
        return self._cache.pop(key, None) is not None

    def close(self) -> None:
        """Free all entries."""
        self._cache.clear()

    def counters(self) -> Mapping[str, float]:
        """Return entries, hits, misses and stores."""
        return {
            "entries": len(self._cache), "hits": self._hits, "misses": self._misses, "inserts": self._inserts,
        }  # fmt: skip

    def _store(self, op: Operation) -> None:
        self._inserts += 1
        self._cache[op.key] = bytes(op.size_bytes)
