"""Cache and policy called through Python, beside an empty call into the same extension and beside `dict.get`."""

import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from cachetools import LRUCache

from benches import policy_cost
from soakd import _native

TITLE = "calls into Rust, nanoseconds of processor time each (median of interleaved rounds)"
ROUNDS, CALLS = 9, 20_000
POLICIES = Path(__file__).parent.parent / "configs" / "policies"


def rows() -> Iterator[tuple[str, float, str, str]]:
    """Give (what, value, unit, remark)."""
    calls = _calls()
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            times[name].append(_ns_a_call(call, CALLS // 20 if name.startswith("policy") else CALLS))
    empty, get = (statistics.median(times[name]) for name in ("an empty call", "dict.get of a hot key"))
    for name, taken in times.items():
        took = statistics.median(taken)
        yield name, took, "ns", f"{took / empty:.2f}x an empty call, {took / get:.2f}x dict.get"
    yield from policy_cost.rows()


def _calls() -> dict[str, Callable[[], object]]:
    keys = [f"key-{n:08d}" for n in range(100_000)]
    table = dict.fromkeys(keys, 1)
    ours = _native.Cache(100_000)
    theirs: LRUCache[str, int] = LRUCache(100_000)
    for key in keys:
        ours.set(key, 1)
        theirs[key] = 1
    hot, fresh, nothing, get = keys[500], iter(range(10**12)), _native.nothing, table.get
    ours_get, ours_set, theirs_get = ours.get, ours.set, theirs.get
    return {
        "an empty call": lambda: nothing(hot),
        "dict.get of a hot key": lambda: get(hot),
        "cache.native get, hit": lambda: ours_get(hot),
        "cache.native set, update": lambda: ours_set(hot, 2),
        "cache.native set, evicting": lambda: ours_set(f"new-{next(fresh):08d}", 2),
        "cachetools get, hit": lambda: theirs_get(hot),
        "policy.regorus role-based": _decide("rbac", {"user": "user-1", "action": "read", "resource": "doc-1"}),
    }


def _decide(name: str, given: dict[str, object]) -> Callable[[], object]:
    import json

    modules = {f"{name}.rego": (POLICIES / f"{name}.rego").read_text(encoding="utf-8")}
    data = json.loads((POLICIES / f"{name}.json").read_text(encoding="utf-8"))
    policy = _native.Policy(modules, f"data.{name}.allow", data)
    return lambda: policy.decide(given)


def _ns_a_call(call: Callable[[], object], count: int) -> float:
    start_ns = time.process_time_ns()
    for _ in range(count):
        call()
    return (time.process_time_ns() - start_ns) / count
