"""What one sample costs the judged process, beside a heap of Python objects of 50 MB, and beside an empty call."""

import statistics
import time
from collections.abc import Callable, Iterator

from soakd.worker.probes import allocator, interpreter
from soakd.worker.probes.fork import ForkedChild
from soakd.worker.probes.probeset import ProbeSet
from soakd.worker.probes.reachable import read_reachable

TITLE = "one sample, microseconds of processor time (median of 50), heap of 50 MB"


def rows() -> Iterator[tuple[str, float, str, str]]:
    """Give (what, value, unit, remark)."""
    heap = [bytes(200) for _ in range(215_000)]
    probes = ProbeSet(None, None, (), dict)
    empty_us = _median_us(lambda: None)
    cheap: list[tuple[str, Callable[[], object]]] = [
        ("an empty call", lambda: None),
        ("live_python_bytes", allocator.live_python_bytes),
        ("live_native_bytes", allocator.live_native_bytes),
        ("python_blocks", interpreter.python_blocks),
        ("a whole inside sample", lambda: probes.sample(time.monotonic())),
    ]
    for name, call in cheap:
        took_us = _median_us(call)
        yield name, took_us, "us", f"{took_us / empty_us:,.0f}x an empty call; {took_us / 1e7:.5%} of a 10 s period"
    forks = [_fork_s() for _ in range(20)]
    share = statistics.median(forks) / 60.0
    yield "the fork for reachable bytes", statistics.median(forks) * 1e6, "us", f"{share:.4%} of a minute"
    assert len(heap) == 215_000


def _median_us(call: Callable[[], object]) -> float:
    times = []
    for _ in range(50):
        start_ns = time.process_time_ns()
        call()
        times.append((time.process_time_ns() - start_ns) / 1000.0)
    return statistics.median(times)


def _fork_s() -> float:
    child = ForkedChild.start(read_reachable)
    while child.poll() is None:
        time.sleep(0.005)
    return child.fork_s
