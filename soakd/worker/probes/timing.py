"""Probes that time themselves: expensive ones are read less often, failures are counted, nothing raises."""

import resource
import time
from collections.abc import Callable, Mapping

from soakd.errors import ProbeError

TIERS_S = (0.0, 60.0, 300.0)
"""Seconds between readings on each tier; 0 is every sample."""
TOO_DEAR_S = 0.010
CHEAP_S = TOO_DEAR_S / 2
CHEAP_READINGS_TO_RECOVER = 3


def _waits() -> int:
    """Return how often this thread blocked to wait for something, as opposed to being preempted."""
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw


class Absent(ProbeError):
    """Raised if this process does not have the signal and never will: the probe is retired, which is not a failure."""


class TieredProbe:
    """One probe with its cost and schedule; a fixed amount of state.

    A reading that costs more than 10 ms moves the probe to the next slower tier at once. Three readings in a row of at
    most 5 ms, on the slower tier, move it back by one: the gap between the two figures keeps it from oscillating.

    A tier reads at the first sample of each interval of the clock (a minute, five minutes), not at an interval after
    its own last reading: so probes on the same tier are read in the same sample, and their values can be added up.

    Args:
        name: as in `probe.<name>.duration_s`.
        read: returns the values of its signals. It may raise anything.
        clock: nanoseconds. The default counts this thread's CPU time, so that a reading that was merely preempted does
            not look expensive.
        may_wait: the reading may block, because it runs the engine's code. If it blocked, its cost is the elapsed
            time.
    """

    __slots__ = (
        "_cheap_in_a_row",
        "_clock",
        "_may_wait",
        "_read",
        "_read_at_s",
        "absent",
        "duration_s",
        "failures_total",
        "name",
        "tier",
    )

    def __init__(
        self,
        name: str,
        read: Callable[[], Mapping[str, float]],
        *,
        clock: Callable[[], int] = time.thread_time_ns,
        may_wait: bool = False,
    ) -> None:
        self.name = name
        self.tier = 0
        self.absent = False
        self.failures_total = 0
        self.duration_s = 0.0
        """The cost of the last reading."""
        self._read = read
        self._clock = clock
        self._may_wait = may_wait
        self._read_at_s: float | None = None
        self._cheap_in_a_row = 0

    def due(self, now_s: float) -> bool:
        """Return whether the probe is due at `now_s` (any one clock, seconds)."""
        if self.absent:
            return False
        period_s = TIERS_S[self.tier]
        return self._read_at_s is None or not period_s or now_s // period_s > self._read_at_s // period_s

    def read_into(self, values: dict[str, float], now_s: float) -> None:
        """Add a reading and its cost to `values` if one is due; count failures instead of raising them."""
        if self.due(now_s):
            self._read_at_s = now_s
            values.update(self._timed_reading())
            values[f"probe.{self.name}.duration_s"] = self.duration_s
        if self.failures_total:
            values[f"probe.{self.name}.failures_total"] = self.failures_total

    def _timed_reading(self) -> Mapping[str, float]:
        begun_ns = self._clock()
        waits, passed_from_ns = (_waits(), time.perf_counter_ns()) if self._may_wait else (0, 0)
        try:
            return self._read()
        except Absent:
            self.absent = True
        except Exception:  # noqa: BLE001 - it may be the engine's code; a failed reading is data, and the run continues
            self.failures_total += 1
        finally:
            self.duration_s = max(0, self._clock() - begun_ns) / 1e9
            if self._may_wait and _waits() > waits:
                self.duration_s = (time.perf_counter_ns() - passed_from_ns) / 1e9
            self._choose_tier()
        return {}

    def _choose_tier(self) -> None:
        if self.duration_s > TOO_DEAR_S:
            self.tier = min(self.tier + 1, len(TIERS_S) - 1)
            self._cheap_in_a_row = 0
        elif self.tier and self.duration_s <= CHEAP_S:
            self._cheap_in_a_row += 1
            if self._cheap_in_a_row == CHEAP_READINGS_TO_RECOVER:
                self.tier -= 1
                self._cheap_in_a_row = 0
        else:
            self._cheap_in_a_row = 0
