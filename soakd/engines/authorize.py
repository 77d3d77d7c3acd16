"""`authorize`: a cache in front of a policy, as services put them together, on a new path and an old one.

Which path an operation takes depends on its key alone: the same key always takes the same one, and a key that takes the
new path at 5 % takes it at 50 %.
"""

import zlib
from collections.abc import Callable, Mapping
from typing import Any, cast

from soakd.engines.protocol import Cache, Engine, Policy
from soakd.engines.registry import is_async
from soakd.errors import EngineError
from soakd.model import Operation

HASHES = 1 << 32


class Path:
    """One cache and one policy engine, and what they answered."""

    def __init__(self, cache: Engine, policy: Engine) -> None:
        self.engines = (cache, policy)
        self.cache = cast(Cache, cache)
        self.policy = cast(Policy, policy)
        self.hits = 0
        self.misses = 0
        for engine, names in ((cache, ("get", "put", "drop")), (policy, ("decide",))):
            if not all(callable(getattr(engine, name, None)) for name in names):
                raise EngineError(f'kind "authorize": {type(engine).__name__} has no {" or ".join(names)}')

    def decide(self, op: Operation) -> Any:
        """Answer from the cache, or decide and remember; an admin operation changes rights, so it forgets first."""
        key = f"{op.verb}/{op.key}"  # verb and key determine the input (soakd.load.tape)
        if op.verb == "admin":
            self.cache.drop(key)
        decision = self.cache.get(key)
        if decision is not None:
            self.hits += 1
            return decision
        self.misses += 1
        decision = self.policy.decide(op.input)
        self.cache.put(key, decision)
        return decision

    def counters(self) -> Mapping[str, float]:
        """Return hits, misses, and entries where the cache counts them."""
        counted = {"hits": self.hits, "misses": self.misses}
        entries = self.engines[0].counters().get("entries")
        return counted if entries is None else counted | {"entries": entries}


def make(
    *, policy: str | None = None, cache: str | None = None, python_policy: str | None = None,
    python_cache: str | None = None, rollout_ratio: float = 1.0, build_part: Callable[[str], Engine],
) -> Engine:  # fmt: skip
    """Build the paths that are used.

    Args:
        policy: name of the policy engine of the new path.
        cache: name of the cache of the new path.
        python_policy: name of the policy engine of the old path.
        python_cache: name of the cache of the old path.
        rollout_ratio: share of the keys that take the new path.
        build_part: builds a part from the name of its engine.

    Raises:
        EngineError: an engine is not named, is not of this run, or is no cache or policy.
    """
    new = _path(build_part, cache=cache, policy=policy) if rollout_ratio > 0 else None
    old = _path(build_part, python_cache=python_cache, python_policy=python_policy) if rollout_ratio < 1 else None
    if any(is_async(engine) for path in (new, old) if path for engine in path.engines):
        raise EngineError('kind "authorize": its parts must work in process')
    return Authorize(new, old, rollout_ratio)


class Authorize:
    """Decides through one of two paths."""

    def __init__(self, new: Path | None, old: Path | None, rollout_ratio: float) -> None:
        self._paths = {name: path for name, path in (("new", new), ("old", old)) if path is not None}
        self._new, self._old = new, old
        self._below = round(rollout_ratio * HASHES)
        caches = [path.engines[0] for path in self._paths.values()]
        self.capacity_entries = sum(getattr(cache, "capacity_entries", 0) for cache in caches)
        self.bytes_per_entry = max(getattr(cache, "bytes_per_entry", 0) for cache in caches)

    def start(self) -> None:
        """Start the parts."""
        for path in self._paths.values():
            for engine in path.engines:
                engine.start()

    def operation(self, op: Operation, /) -> Any:
        """Decide one operation on its path."""
        new, old = self._new, self._old
        if new is None or (old is not None and zlib.crc32(op.key.encode()) >= self._below):
            assert old is not None
            return old.decide(op)
        return new.decide(op)

    def close(self) -> None:
        """Close the parts."""
        for path in self._paths.values():
            for engine in path.engines:
                engine.close()

    def counters(self) -> Mapping[str, float]:
        """Return hits, misses and entries of each path, and entries in all."""
        counted = {
            f"{name}_{key}": value for name, path in self._paths.items() for key, value in path.counters().items()
        }
        return counted | {"entries": sum(value for key, value in counted.items() if key.endswith("_entries"))}


def _path(build_part: Callable[[str], Engine], **names: str | None) -> Path:
    for option, name in names.items():
        if name is None:
            raise EngineError(f'kind "authorize": option "{option}" must name an engine of this run')
    cache, policy = (build_part(cast(str, name)) for name in names.values())
    return Path(cache, policy)
