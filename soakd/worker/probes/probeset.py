"""All of a worker's readings of itself, behind one object with a fixed amount of state."""

import math
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any

from soakd.errors import ProbeError
from soakd.wire.signal_sums import PYMALLOC_OFF
from soakd.worker.probes import allocator, interpreter
from soakd.worker.probes.children import Children
from soakd.worker.probes.timing import TieredProbe

MOST_COUNTERS = 100
_NAME_LENGTH = 100


class ProbeSet:
    """The probes of one worker.

    Call it from the process's main thread. Times are seconds on one clock of the caller's choice; durations are
    measured here. Exceptions of `counters` and probes are not raised: failures are counted and exported.

    Args:
        collect_every_s: seconds between two forks for reachable bytes; None for never.
        snapshot_every_s: seconds between two forks for a heap snapshot; None for never.
        site_packages: where soakd's own packages are; only a forked child puts them on its path.
        counters: the engine's own numbers by name, at most 100 of them.
    """

    def __init__(
        self,
        collect_every_s: float | None,
        snapshot_every_s: float | None,
        site_packages: Sequence[str],
        counters: Callable[[], Mapping[str, float]],
    ) -> None:
        self._read_counters = counters
        self._counters = TieredProbe("counters", self._accepted_counters, may_wait=True)
        self._python = TieredProbe("live_python", allocator.python_bytes)
        self._native = TieredProbe("live_native", allocator.native_bytes)
        self._probes = [
            self._python,
            self._native,
            TieredProbe("python_blocks", interpreter.python_blocks),
            TieredProbe("gc", interpreter.collector),
            TieredProbe("tasks", interpreter.tasks),
            self._counters,
        ]
        rust_bytes = allocator.rust_bytes_reader()
        if rust_bytes is not None:
            self._probes.append(TieredProbe("rust", lambda: {"rust_bytes": rust_bytes()}))
        self._children = Children(collect_every_s, snapshot_every_s, site_packages)

    @property
    def child_alive(self) -> bool:
        """Whether a forked child is alive, or its result is waiting for `poll_child`."""
        return self._children.alive

    def sample(self, now_s: float) -> dict[str, float]:
        """Take every reading that is due, live bytes first.

        Returns:
            Signals by name (live_python_bytes, live_native_bytes, python_free_bytes, native_free_bytes, rust_bytes,
            python_blocks, gc_*, tasks, `counter.<name>`); `probe.<name>.duration_s` of each reading, and
            `probe.<name>.failures_total` if there were any; once after each reachable child, reachable_python_bytes,
            reachable_native_bytes and reachable_forked_at_s, on the caller's clock. Signals that this process does not
            have are absent; `note.<what>` is 1 to explain why (pymalloc_off, mallinfo2_missing, memory_short,
            child_weakly_confined).
        """
        values: dict[str, float] = {}
        for probe in self._probes:
            probe.read_into(values, now_s)
        if self._python.absent:
            values[PYMALLOC_OFF] = 1.0
        if self._native.absent:
            values["note.mallinfo2_missing"] = 1.0
        self._children.hand_over(values)
        return values

    def start_child_if_due(self, now_s: float) -> bool:
        """Fork the child that is due, if any; return whether there is one to poll. Cheap when none is due."""
        return self._children.start_if_due(now_s)

    def ask_for_snapshot(self, number: int) -> None:
        """Take a heap snapshot on request; its body has the number in `asked`."""
        self._children.ask(number)

    def poll_child(self, now_s: float) -> dict[str, Any] | None:
        """Check on the child without waiting; end a snapshot that delays a reading of reachable bytes.

        Returns:
            The body of a `snapshot` record, once per snapshot that was due: what `take_snapshot` returns with
            forked_at_s and duration_s, or forked_at_s and `skipped`, the reason.
        """
        return self._children.poll(now_s)

    def take_deaths(self) -> list[dict[str, str]]:
        """Return and clear the crashes of forked children, each {"probe", "detail"} once per life."""
        return self._children.take_deaths()

    def close(self) -> None:
        """Kill a child that is alive, and wait for its exit."""
        self._children.close()

    def _accepted_counters(self) -> dict[str, float]:
        """Read the engine's counters; values that are not finite numbers are left out and counted as failures."""
        values: dict[str, float] = {}
        counters = self._read_counters()
        if not isinstance(counters, Mapping):
            raise ProbeError(f"counters() gave a {type(counters).__name__}, not a mapping")
        for name, value in counters.items():
            number = _finite(value)
            if number is None or type(name) is not str or len(name) > _NAME_LENGTH or len(values) == MOST_COUNTERS:
                self._counters.failures_total += 1
            else:
                values[f"counter.{name}"] = number
        return values


def _finite(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | Real):
        return None
    try:
        number = float(value)
    except (OverflowError, ValueError):
        return None
    if not math.isfinite(number):
        return None
    return value if type(value) is int else number
