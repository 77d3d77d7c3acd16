"""`authorize`: a cache in front of a policy, as services combine them, on a new path and an old one.

Which path an operation takes depends on its key alone: the same key always takes the same one, and a key that takes the
new path at 5 % also takes it at 50 %. While the policy of one path is down, the other path serves. For some
operations both policies are asked and compared, within the operation, which then takes longer.
"""

import inspect
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Generic, TypeVar

from soakd.errors import EngineError
from soakd.wire.spec import Operation
from soakd.worker.engines.authorize_paths import AsyncPath, Path, awaited
from soakd.worker.engines.batch import decide_each, decide_each_async
from soakd.worker.engines.comparison import ShadowComparison
from soakd.worker.engines.protocol import Engine
from soakd.worker.engines.registry import is_async

HASHES = 1 << 32
OF_ATTEMPTS = ("retries_total", "timeouts_total", "connection_errors_total", "reloads_total", "reload_errors_total")

UNSERVED: Final = object()
P = TypeVar("P", bound=Path)
BuildPart = Callable[[str], Engine]


def make(  # noqa: PLR0913 - an argument for each option
    *, policy: str | None = None, cache: str | None = None, python_policy: str | None = None,
    python_cache: str | None = None, rollout_ratio: float = 1.0, compare_ratio: float = 0.0, build_part: BuildPart,
    name: str = "authorize", seed: int = 0,
) -> Engine:  # fmt: skip
    """Build the paths that take keys, and a path that takes none as a stand-by if its policy is named.

    Args:
        policy: name of the policy engine of the new path.
        cache: name of the cache of the new path.
        python_policy: name of the policy engine of the old path.
        python_cache: name of the cache of the old path.
        rollout_ratio: share of the keys that take the new path.
        compare_ratio: share of the operations for which both policies are asked and compared.
        build_part: builds a part from the name of its engine.
        name: of this engine; prefixes its entries in a shared cache.
        seed: chooses the operations that are compared.

    Raises:
        EngineError: an engine is not named, is not in this run, or is not a cache or policy.
    """
    names = (
        ("new", {"cache": cache, "policy": policy}, rollout_ratio > 0),
        ("old", {"python_cache": python_cache, "python_policy": python_policy}, rollout_ratio < 1),
    )
    parts = {way: _parts(build_part, given, takes_keys, compare_ratio > 0) for way, given, takes_keys in names}
    comparison = ShadowComparison(compare_ratio, seed) if compare_ratio > 0 else None
    if any(is_async(part) for halves in parts.values() if halves for part in halves if part):
        waits = {way: halves and AsyncPath(*halves, f"{name}/{way}/") for way, halves in parts.items()}
        return AsyncAuthorize(waits["new"], waits["old"], rollout_ratio, comparison)
    paths = {way: halves and Path(*halves) for way, halves in parts.items()}
    return Authorize(paths["new"], paths["old"], rollout_ratio, comparison)


def _parts(
    build_part: BuildPart, names: Mapping[str, str | None], takes_keys: bool, is_compared: bool
) -> tuple[Engine | None, Engine] | None:
    """Build a path's cache and policy; None for a path that is neither needed nor named."""
    (cache_option, cache), (policy_option, policy) = names.items()
    if cache is None and takes_keys:
        raise EngineError(f'kind "authorize": option "{cache_option}" must name an engine of this run')
    if policy is None and not takes_keys and not is_compared:
        return None
    if policy is None:
        why = "" if takes_keys else ", because compare_ratio asks both policies"
        raise EngineError(f'kind "authorize": option "{policy_option}" must name an engine of this run{why}')
    return None if cache is None else build_part(cache), build_part(policy)


class _TwoPaths(Generic[P]):
    """What both drivers share: which path is asked first, and what is counted."""

    def __init__(self, new: P | None, old: P | None, rollout_ratio: float, comparison: ShadowComparison | None) -> None:
        self._paths: dict[str, P] = {way: path for way, path in (("new", new), ("old", old)) if path is not None}
        self._new, self._old = new, old
        self._below = round(rollout_ratio * HASHES)
        self._of_all_keys: tuple[P, P | None] | None = None
        if new is not None and (old is None or rollout_ratio >= 1):
            self._of_all_keys = new, old
        elif old is not None and (new is None or rollout_ratio <= 0):
            self._of_all_keys = old, new
        self._comparison = comparison
        self._parts = [engine for path in self._paths.values() for engine in path.engines]
        self._served_by_other = 0
        # Entries on a server are not in this process: only its own caches explain its growth.
        self.capacity_entries = sum(getattr(part, "capacity_entries", 0) for part in self._parts)
        self.bytes_per_entry = max(getattr(part, "bytes_per_entry", 0) for part in self._parts)
        self.inputs = next(filter(None, (getattr(part, "inputs", None) for part in self._parts)), None)

    def take_findings(self) -> list[dict[str, Any]]:
        """Return the disagreements since the last call, as they go into records."""
        return [] if self._comparison is None else self._comparison.take_findings()

    def reload_policy(self) -> None:
        """Make every part that has a policy reload it."""
        for part in self._parts:
            if (reload := getattr(part, "reload_policy", None)) is not None:
                reload()

    def counters(self) -> Mapping[str, float]:
        """Return the counters of each path and the comparison, all entries, and the attempts of all parts."""
        counted: dict[str, float] = {
            f"{way}_{name}": value for way, path in self._paths.items() for name, value in path.counters().items()
        }
        counted["entries"] = sum(value for name, value in counted.items() if name.endswith("_entries"))
        counted["served_by_other_total"] = self._served_by_other
        if self._comparison is not None:
            counted.update(self._comparison.counters())
        for part in self._parts:
            told = part.counters()
            for name in OF_ATTEMPTS:
                if name in told:
                    counted[name] = counted.get(name, 0) + told[name]
        return counted

    def _in_order(self, key: str) -> tuple[P, P | None]:
        """Return the path of a key and the one that stands in for it, if keys take different paths."""
        new, old = self._new, self._old
        assert new is not None
        assert old is not None
        return (new, old) if zlib.crc32(key.encode()) < self._below else (old, new)


class Authorize(_TwoPaths[Path]):
    """The engine with both paths in process."""

    def start(self) -> None:
        """Start the parts."""
        for part in self._parts:
            part.start()

    def operation(self, op: Operation, /) -> Any:
        """Decide one operation on its path, or on the other one where that path's policy is down.

        Raises:
            Exception: the error of the operation's own path, if neither could decide.
        """
        path, other = self._of_all_keys or self._in_order(op.key)
        try:
            decision = path.decide(op)
        except Exception:
            decision = self._decide_on(other, op)
            if decision is UNSERVED:
                raise
        if self._comparison is not None and self._comparison.is_due():
            self._compare(self._comparison, op.input)
        return decision

    def decide_many(self, operations: Iterable[Operation]) -> list[Any]:
        """Decide many operations; a failed one is represented by its exception."""
        return decide_each(self.operation, operations)

    def close(self) -> None:
        """Close the parts.

        Raises:
            ExceptionGroup: some could not be closed; the others are closed.
        """
        errors = [error for part in self._parts for error in decide_each(lambda part: part.close(), [part]) if error]
        if errors:
            raise ExceptionGroup("parts could not be closed", errors)

    def _decide_on(self, other: Path | None, op: Operation) -> Any:
        if other is None:
            return UNSERVED
        try:
            decision = other.decide(op)
        except Exception:  # noqa: BLE001 - the operation fails with the error of its own path
            return UNSERVED
        self._served_by_other += 1
        return decision

    def _compare(self, comparison: ShadowComparison, given: Mapping[str, Any]) -> None:
        assert self._new is not None
        assert self._old is not None
        try:
            new, old = self._new.policy.decide(given), self._old.policy.decide(given)
        except Exception:  # noqa: BLE001 - a failed decision is no disagreement; it is counted separately
            comparison.note_error()
        else:
            comparison.note(given, new, old)


class AsyncAuthorize(_TwoPaths[AsyncPath]):
    """The engine with at least one part across a network."""

    async def start(self) -> None:
        """Start the parts one by one."""
        for part in self._parts:
            await awaited(part.start, inspect.iscoroutinefunction(part.start))()

    async def operation(self, op: Operation, /) -> Any:
        """Decide one operation as `Authorize.operation` does."""
        path, other = self._of_all_keys or self._in_order(op.key)
        try:
            decision = await path.decide(op)
        except Exception:
            decision = await self._decide_on(other, op)
            if decision is UNSERVED:
                raise
        if self._comparison is not None and self._comparison.is_due():
            await self._compare(self._comparison, op.input)
        return decision

    async def decide_many(self, operations: Iterable[Operation]) -> list[Any]:
        """Decide many operations concurrently; a failed one is represented by its exception."""
        return await decide_each_async(self.operation, operations)

    async def close(self) -> None:
        """Close the parts.

        Raises:
            ExceptionGroup: some could not be closed; the others are closed.
        """
        closings = [awaited(part.close, inspect.iscoroutinefunction(part.close)) for part in self._parts]
        errors = [error for error in await decide_each_async(lambda close: close(), closings) if error]
        if errors:
            raise ExceptionGroup("parts could not be closed", errors)

    async def _decide_on(self, other: AsyncPath | None, op: Operation) -> Any:
        if other is None:
            return UNSERVED
        try:
            decision = await other.decide(op)
        except Exception:  # noqa: BLE001 - the operation fails with the error of its own path
            return UNSERVED
        self._served_by_other += 1
        return decision

    async def _compare(self, comparison: ShadowComparison, given: Mapping[str, Any]) -> None:
        assert self._new is not None
        assert self._old is not None
        try:
            new, old = await self._new.decide_input(given), await self._old.decide_input(given)
        except Exception:  # noqa: BLE001 - a failed decision is no disagreement; it is counted separately
            comparison.note_error()
        else:
            comparison.note(given, new, old)
