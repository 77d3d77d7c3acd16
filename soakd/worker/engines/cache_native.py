"""`cache.native`: the Rust cache of `soakd._native`: exact LRU, a time to live per entry."""

from collections.abc import Mapping
from typing import Any

from soakd.wire.spec import Operation

SMALL_ENTRIES, SMALL_STRUCTURE_BYTES, STRUCTURE_BYTES = 16_384, 64, 47
"""Bytes of structure per entry; the table of a small cache is sparser, for speed."""
TYPICAL_VALUE_BYTES = 33 + 328
"""A bytes object of the tape's mean size (`soakd.worker.load.mixes.VALUE_SIZES_BYTES`)."""
SWEEP_EVERY = 256
"""Operations between two bounded sweeps of expired entries, if entries expire."""


class NativeCache:
    """A read-through cache: writes store, admin operations drop a key.

    Args:
        capacity: entries.
        ttl: seconds that an entry lives; None for ever.

    Raises:
        ImportError: this interpreter cannot load `soakd._native`.
        ValueError: a capacity or time to live out of range.
    """

    def __init__(self, capacity: int = 10_000, ttl: float | None = None) -> None:
        from soakd._native import Cache

        self.capacity_entries = capacity
        structure_bytes = SMALL_STRUCTURE_BYTES if capacity <= SMALL_ENTRIES else STRUCTURE_BYTES
        self.bytes_per_entry = structure_bytes + TYPICAL_VALUE_BYTES
        self._cache = Cache(capacity, ttl)
        self._expires = ttl is not None
        self._until_sweep = SWEEP_EVERY
        self.get = self._cache.get
        self.put = self._cache.set
        self.drop = self._cache.delete

    def start(self) -> None:
        """Nothing to start: the structure is allocated at once."""

    def operation(self, op: Operation, /) -> Any:
        """Read, write or drop one key."""
        if self._expires:
            self._sweep_now_and_then()
        if op.verb == "read":
            value = self._cache.get(op.key)
            if value is None:
                self._cache.set(op.key, bytes(op.size_bytes))
            return value
        if op.verb == "write":
            return self._cache.set(op.key, bytes(op.size_bytes))
        return self._cache.delete(op.key)

    def close(self) -> None:
        """Free all entries."""
        self._cache.clear()

    def counters(self) -> Mapping[str, float]:
        """Return the cache's counters: entries, hits, misses, inserts, updates, evictions, expirations, deletes."""
        counts: Mapping[str, float] = self._cache.stats()
        return counts

    def _sweep_now_and_then(self) -> None:
        self._until_sweep -= 1
        if not self._until_sweep:
            self._until_sweep = SWEEP_EVERY
            self._cache.sweep(SWEEP_EVERY)
