# ruff: noqa: PYI021, A002 - the extension has no source in Python to hold the docstrings; Rego calls it input
"""The part of soakd that is written in Rust: engines to soak, and a recorder cheap enough to time them.

Every class may be used from several threads; calls hold the GIL, except that compiling a policy lets go of it.
"""

from typing import Any, Final, Literal, TypeVar, final, overload

__all__ = [
    "UNDEFINED",
    "Cache",
    "LatencyRecorder",
    "Policy",
    "PolicyError",
    "UndefinedType",
    "__version__",
    "leak_box",
    "leak_reference",
    "rust_bytes",
]

_Default = TypeVar("_Default")

__version__: Final[str]

@final
class Cache:
    """A bounded cache in exact order of use, with a time to live per entry. Every operation is O(1).

    Keys are `str`; of a subclass (an enum member, say) counts what it holds, not what it overrides. Values are
    anything; one that is in a reference cycle through the cache is collected like any other. Time is
    CLOCK_MONOTONIC_COARSE: an entry may live one tick of the kernel (1 to 10 ms) longer than asked. An expired entry
    stays in memory until it is looked up, evicted or swept.

    Args:
        capacity: entries, from 1 to 2**31. Memory for the structure (48 bytes an entry; 64 up to 4,096 of them) is
            taken at once, up to 2**20 entries; a larger cache starts there and doubles.
        ttl_s: seconds that an entry lives unless `set` says otherwise; None, infinity and more than 2**64 ns (584
            years): for ever.

    Raises:
        ValueError: `capacity` is out of range, or `ttl_s` is NaN or not above 0.
        MemoryError: the structure cannot be allocated.
        TypeError: `capacity` is no int or `ttl_s` no number.
    """

    def __new__(cls, capacity: int, ttl_s: float | None = None) -> Cache: ...
    @property
    def capacity(self) -> int:
        """The largest number of entries."""

    @overload
    def get(self, key: str, /) -> Any | None: ...
    @overload
    def get(self, key: str, default: _Default, /) -> Any | _Default:
        """Return the value of a live entry, which becomes the most recently used, or `default`.

        Raises:
            TypeError: the key is no str.
        """

    def set(self, key: str, value: object, ttl_s: float | None = None) -> None:
        """Insert or replace, as the most recently used; a full cache evicts its least recently used entry.

        Args:
            key: a str.
            value: any object.
            ttl_s: seconds to live; None for the cache's own, infinity for ever.

        Raises:
            TypeError: the key is no str.
            ValueError: `ttl_s` is NaN or not above 0.
            MemoryError: a cache of more than 2**20 entries cannot grow; it is unchanged.
        """

    def delete(self, key: str) -> bool:
        """Remove a key; whether it was there, expired or not.

        Raises:
            TypeError: the key is no str.
        """

    def clear(self) -> None:
        """Remove every entry. The structure keeps its size."""

    def sweep(self, max_entries: int = 64) -> int:
        """Look at the next `max_entries` places, going round, and remove the expired entries; return how many.

        Raises:
            OverflowError: `max_entries` is negative.
        """

    def stats(self) -> dict[str, int]:
        """Return what happened so far and what there is.

        hits, misses; inserts (new keys), updates (known keys), evictions, expirations, deletes (`clear` included), all
        events; entries; structure_bytes (without keys and values). inserts is always entries + evictions + expirations
        +
        deletes.
        """

    def __len__(self) -> int:
        """Entries, expired ones that nobody has met yet included."""

    def __contains__(self, key: str, /) -> bool:
        """Whether there is a live entry. Changes neither the order of use nor the statistics.

        Raises:
            TypeError: the key is no str.
        """

@final
class UndefinedType:
    """The type of UNDEFINED."""

    def __bool__(self) -> Literal[False]: ...

UNDEFINED: Final[UndefinedType]
"""What a rule evaluates to that does not apply. False in a condition, but neither `False` nor `None`, which are
values."""

class PolicyError(ValueError):
    """A policy does not compile, or a decision failed."""

    file: str | None
    """Name of the module, where the fault has a place."""
    line: int | None
    """Line, from 1."""
    column: int | None
    """Column, from 1."""
    message: str
    """What is wrong, without the place."""

@final
class Policy:
    """Rego modules, data and one rule, compiled once.

    Dicts with str keys, lists, tuples, str, int (up to 1.8e308, as a float), float, bool and None go in; a set comes
    out as a sorted list, an object's keys that are no strings as JSON text. A thread with little stack may decide too.

    Args:
        modules: sources by name; the names stand in errors. At most 10 MB each.
        rule: the rule to decide, as "data.authz.allow".
        data: the document under `data`, a dict.
        timeout_s: seconds that one decision may take; None for any time.
        memory_bytes: memory that one decision may take at a time. Built-ins that make much of little in one step
            (`numbers.range`, `concat`, `replace`, `sprintf`, `json.marshal` ...) are refused where their result could
            be larger.

    Raises:
        PolicyError: a module does not compile; functions call themselves; literals or rules are nested beyond reason;
        the
            rule does not exist; or the data is no dict.
        ValueError: `timeout_s` is not above 0 and finite; the data holds NaN, infinity, an integer beyond 1.8e308, more
            than 512 levels or ten million values.
        TypeError: the data holds something else than the types above, or a key that is no str.
    """

    def __new__(
        cls, modules: dict[str, str], rule: str, data: object | None = None, *, timeout_s: float | None = 1.0,
        memory_bytes: int = 536870912,
    ) -> Policy: ...  # fmt: skip
    @property
    def rule(self) -> str:
        """The rule that is decided."""

    def decide(self, input: object) -> Any:
        """Evaluate the rule; UNDEFINED where no definition applies.

        Raises:
            PolicyError: the evaluation ran out of time or memory, a built-in refused its operands or met what it cannot
                handle, or definitions contradict. The next decision is as if this one had not been asked for.
            ValueError: the input or the result cannot be converted, as for the data above.
            TypeError: as for the data above.
        """

    def reload(self, modules: dict[str, str], data: object | None = None) -> None:
        """Replace modules and data as a whole; on an error the old policy stays in force.

        Other threads go on deciding by the old policy while the new one is compiled.

        Raises:
            PolicyError, ValueError, TypeError: as for the class.
        """

@final
class LatencyRecorder:
    """Three log-linear histograms of fixed size: service, response and lateness. 102 KiB.

    Values are capped at 2**40 - 1 ns. There are 4,352 buckets: below 128 ns one for each value, above 128 for each
    power
    of two, so that none is wider than 0.8 %. With e = floor(log2 v), a value v from 128 on is in bucket
    (e - 6) * 128 + (v >> (e - 7)) - 128.
    """

    def __new__(cls) -> LatencyRecorder: ...
    @property
    def count(self) -> int:
        """Operations since the last `take`."""

    def record(self, intended_ns: int, start_ns: int, end_ns: int, /) -> None:
        """Count one operation: end - start as service, end - intended as response, start - intended as lateness.

        Nanoseconds of one clock; a negative difference counts as 0.

        Raises:
            OverflowError: a time is outside 64 bits.
        """

    def take(self) -> tuple[bytes, bytes, bytes]:
        """Return service, response and lateness since the last time, and start from nothing.

        Each is a sequence of unsigned LEB128 numbers in pairs, for each non-empty bucket in ascending order: the
        distance
        from the one before (the first from 0), and the count.
        """

def rust_bytes() -> int:
    """Return the bytes that this module has allocated and not freed, exactly; without what Python objects take."""

def nothing(argument: object, /) -> None:
    """Do nothing: the floor of a call, which benches measure other calls against."""

def leak_box(size_bytes: int) -> None:
    """Leak that many bytes of native memory, for demonstrations and controls.

    Raises:
        MemoryError: they cannot be allocated.
        OverflowError: a negative number.
    """

def leak_reference(obj: object) -> None:
    """Leak a reference to `obj`, which is never freed, for demonstrations and controls."""
