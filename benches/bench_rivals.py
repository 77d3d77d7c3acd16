"""The native cache and policy beside what a user would otherwise use. Ratios in one run, rounds interleaved.

A ratio is the rival's time over ours. Targets were measured with prototypes on another machine, at another load.
"""

import asyncio
import itertools
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from benches.policy_rivals import rows as policy_rows
from soakd import _native

TITLE = "native cache and policy beside their rivals; processor time, medians of interleaved rounds"
ROUNDS, KEYS = 9, 20_000
SIZES = {1_000: 5 * ROUNDS, 100_000: 2 * ROUNDS, 1_000_000: ROUNDS}
"""Entries, and rounds: the smaller, the more a busy host disturbs a figure."""
LARGEST = max(SIZES)
TARGETS = {
    ("cachebox", "get", 1_000): 1.1, ("cachebox", "get", 100_000): 1.3, ("cachebox", "get", 1_000_000): 1.6,
    **{("cachebox", "update", size): 1.15 for size in SIZES}, **{("cachebox", "delete", size): 1.2 for size in SIZES},
    **{("cachebox", "evict", size): 1.0 for size in SIZES},
    **{("cachebox VTTL", what, 1_000_000): 2.0 for what in ("get", "update", "evict")},
    **{("moka-py", what, 1_000_000): 2.5 for what in ("get", "update", "evict")},
}  # fmt: skip
REDIS_TARGETS = {"redis": 100.0, "redis.asyncio": 300.0}
HOT_TARGET, BYTES_TARGET, TAIL_TARGET = 1.5, 50.0, 1.25
"""A hot get over dict.get (with abi3); bytes of structure per entry at a million; the p99.9 of a get over dict's."""

Row = tuple[str, float, str, str]
Call = Callable[..., object]
Calls = dict[str, tuple[Call, Call, Call]]
"""Name -> get(key), set(key, value), delete(key)."""


def rows() -> Iterator[Row]:
    """Give (what, value, unit, remark)."""
    for size in SIZES:
        yield from _cache_rows(size)
    yield from _hot_rows()
    yield from _tail_rows(LARGEST)
    yield from _bytes_rows(LARGEST)
    yield from _redis_rows()
    yield from policy_rows()


def _caches(size: int, only: str | None = None) -> Calls:
    from cachebox import LRUCache, VTTLCache
    from cachetools import LRUCache as PythonCache
    from lru import LRU
    from moka_py import Moka

    def native() -> tuple[Call, Call, Call]:
        cache = _native.Cache(size)
        return cache.get, cache.set, cache.delete

    def boxed(cache: Any) -> tuple[Call, Call, Call]:
        return cache.get, cache.insert, cache.pop

    def mapping(cache: Any) -> tuple[Call, Call, Call]:
        return cache.get, cache.__setitem__, cache.pop

    def moka() -> tuple[Call, Call, Call]:
        cache: Any = Moka(size)
        return cache.get, cache.set, cache.remove

    makers: dict[str, Callable[[], tuple[Call, Call, Call]]] = {
        "ours": native, "cachebox": lambda: boxed(LRUCache(size)), "cachebox VTTL": lambda: boxed(VTTLCache(size)),
        "lru-dict": lambda: mapping(LRU(size)), "moka-py": moka, "cachetools": lambda: mapping(PythonCache(size)),
    }  # fmt: skip
    return {name: make() for name, make in makers.items() if only in (None, name)}


def _cache_rows(size: int) -> Iterator[Row]:
    keys = [f"key-{n:010d}" for n in range(size)]
    calls = _caches(size)
    for _, put, _ in calls.values():
        _ns(put, keys, itertools.repeat(1))
    step, times_over = max(1, size // KEYS), max(1, KEYS // size)
    known = [keys[n * step * 7919 % size] for n in range(min(KEYS, size))]
    times: dict[str, dict[str, list[float]]] = {what: {name: [] for name in calls} for what in _WHATS}
    for round_ in range(SIZES[size]):
        order = list(calls) if round_ % 2 else list(reversed(calls))
        for name in order:
            get, put, delete = calls[name]
            times["get"][name].append(_ns(get, [_copy(key) for key in known] * times_over))
            times["update"][name].append(_ns(put, known * times_over, itertools.repeat(2)))
            fresh = [f"new-{round_}-{n:010d}" for n in range(KEYS)]
            times["evict"][name].append(_ns(put, fresh, itertools.repeat(3)))
            times["delete"][name].append(_deletes_ns(put, delete, fresh[-len(known) // 2 :], times_over))
            _ns(put, known, itertools.repeat(1))
    for what in _WHATS:
        ours = times[what]["ours"]
        for name, taken in times[what].items():
            took = statistics.median(taken)
            remark = _ratio(took / statistics.median(ours), TARGETS.get((name, what, size)))
            yield f"{what} of {size:,}: {name}", took, "ns", "" if taken is ours else f"{remark} {_spread(taken, ours)}"


_WHATS = ("get", "update", "evict", "delete")


def _deletes_ns(put: Call, delete: Call, keys: list[str], times_over: int) -> float:
    """Of one deletion; the keys are put back for each of the next times."""
    taken = [_ns(delete, keys)]
    for _ in range(times_over - 1):
        _ns(put, keys, itertools.repeat(3))
        taken.append(_ns(delete, keys))
    return statistics.fmean(taken)


def _spread(theirs: list[float], ours: list[float]) -> str:
    """The quartiles of the ratios, round by round."""
    low, _, high = statistics.quantiles((their / our for their, our in zip(theirs, ours, strict=True)), n=4)
    return f"[{low:.2f} {high:.2f}]"


def _copy(key: str) -> str:
    """An equal string that is another object, as a service makes for each request; hashed once, as it would be."""
    copy = (" " + key)[1:]
    hash(copy)
    return copy


def _ns(call: Call, *arguments: Iterable[object]) -> float:
    first = arguments[0]
    count = len(first) if isinstance(first, list) else KEYS
    start_ns = time.process_time_ns()
    deque(map(call, *arguments), maxlen=0)
    return (time.process_time_ns() - start_ns) / count


def _ratio(ratio: float, target: float | None, *, at_most: bool = False) -> str:
    text = f"{ratio:.2f}x"
    if target is None:
        return text
    met = ratio <= target if at_most else ratio >= target
    return f"{text}, target {'<=' if at_most else '>='} {target:g}: {'met' if met else 'MISSED'}"


def _hot_rows() -> Iterator[Row]:
    cache, table = _native.Cache(1_000), {"key-0000000500": 1}
    cache.set("key-0000000500", 1)
    get, dict_get, key = cache.get, table.get, "key-0000000500"
    times: dict[str, list[float]] = {"ours": [], "dict": []}
    for _ in range(3 * ROUNDS):
        for name, call in (("ours", get), ("dict", dict_get)):
            start_ns = time.process_time_ns()
            for _ in range(KEYS):
                call(key)
            times[name].append((time.process_time_ns() - start_ns) / KEYS)
    ours, plain = (statistics.median(times[name]) for name in ("ours", "dict"))
    yield "hot get", ours, "ns", f"dict.get {plain:.1f} ns; {_ratio(ours / plain, HOT_TARGET, at_most=True)}"


def _tail_rows(size: int) -> Iterator[Row]:
    keys = [f"key-{n:010d}" for n in range(size)]
    cache, table = _native.Cache(size), dict.fromkeys(keys, 1)
    for key in keys:
        cache.set(key, 1)
    order = [keys[n * 7919 % size] for n in range(200_000)]
    tails: dict[str, list[float]] = {"ours": [], "dict": []}
    for _ in range(5):
        for name, get in (("ours", cache.get), ("dict", table.get)):
            tails[name].append(_p999_us(get, order))
    ours, plain = (statistics.median(tails[name]) for name in ("ours", "dict"))
    remark = f"dict.get {plain:.2f} us; {_ratio(ours / plain, TAIL_TARGET, at_most=True)}"
    yield f"get of {size:,}: p99.9", ours, "us", remark


def _p999_us(get: Call, keys: list[str]) -> float:
    clock, taken = time.perf_counter_ns, []
    for key in keys:
        start_ns = clock()
        get(key)
        taken.append(clock() - start_ns)
    taken.sort()
    return taken[int(0.999 * len(taken))] / 1000


def _bytes_rows(size: int) -> Iterator[Row]:
    structure = _native.Cache(size).stats()["structure_bytes"] / size
    met = "met" if structure <= BYTES_TARGET else "MISSED"
    yield "bytes per entry: ours, structure", structure, "B", f"target <= {BYTES_TARGET:g}: {met}"
    for name in _caches(10):
        command = [sys.executable, "-m", "benches.bench_rivals", name, str(size)]
        grown = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        yield f"bytes per entry: {name}, resident", grown, "B", f"at {size:,}, without keys and values"


def _resident_per_entry(name: str, size: int) -> float:
    keys = [f"key-{n:010d}" for n in range(size)]
    before = _resident_bytes()
    _, put, _ = _caches(size, name)[name]
    deque(map(put, keys, itertools.repeat(1)), maxlen=0)
    return (_resident_bytes() - before) / size


def _resident_bytes() -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


def _redis_rows() -> Iterator[Row]:
    program = shutil.which("redis-server")
    if program is None:
        yield "redis", float("nan"), "", "SKIPPED: no redis-server on PATH"
        return
    with tempfile.TemporaryDirectory(prefix="soakd-") as folder:
        socket = Path(folder) / "redis.sock"
        options = ["--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", folder]
        server = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)
        try:
            _wait_for(socket)
            yield from _beside_redis(str(socket))
        finally:
            server.terminate()
            server.wait()


def _wait_for(socket: Path) -> None:
    for _ in range(200):
        if socket.exists():
            return
        time.sleep(0.05)
    raise SystemExit("redis-server did not start")


def _beside_redis(socket: str) -> Iterator[Row]:
    from redis import Redis
    from redis.asyncio import Redis as AsyncRedis

    cache, client = _native.Cache(1_000), Redis(unix_socket_path=socket)
    for put in (cache.set, client.set):
        put("key", "value")
    ours = _p50_us(lambda: cache.get("key"), 50_000)
    yield "get, p50: ours", ours, "us", ""
    took = _p50_us(lambda: client.get("key"), 5_000)
    yield "get, p50: redis over a unix socket", took, "us", _ratio(took / ours, REDIS_TARGETS["redis"])
    client.close()

    async def waits() -> float:
        async with AsyncRedis(unix_socket_path=socket) as waiting:
            return await p50_us_of(lambda: waiting.get("key"), 3_000)

    took = asyncio.run(waits())
    yield "get, p50: redis.asyncio", took, "us", _ratio(took / ours, REDIS_TARGETS["redis.asyncio"])


def _p50_us(call: Callable[[], object], count: int) -> float:
    taken = []
    for _ in range(count):
        start_ns = time.perf_counter_ns()
        call()
        taken.append(time.perf_counter_ns() - start_ns)
    return statistics.median(taken) / 1000


async def p50_us_of(call: Callable[[], Any], count: int) -> float:
    """Median microseconds of awaiting what `call` gives."""
    taken = []
    for _ in range(count):
        start_ns = time.perf_counter_ns()
        await call()
        taken.append(time.perf_counter_ns() - start_ns)
    return statistics.median(taken) / 1000


if __name__ == "__main__":
    print(json.dumps(_resident_per_entry(sys.argv[1], int(sys.argv[2]))))
