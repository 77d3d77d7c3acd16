"""Parts of the status: monotonic counters, bounded tables, escaped text, comparison of states."""

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from soakd.plaintext import escaped
from soakd.verdict.check import Check
from soakd.verdict.severity import State, worst_known
from soakd.wire.histogram import Histogram, upper_bound_ns
from soakd.wire.masking import cut
from soakd.wire.records import INCIDENTS

BOUNDS_S: tuple[float, ...] = (
    10e-6, 25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 750e-6, 1e-3, 2.5e-3, 5e-3, 7.5e-3, 10e-3, 25e-3, 50e-3, 0.1, 0.25,
    0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip
"""Upper bounds of the exported latency buckets, in seconds; one more bucket holds larger values.

0.5 and 5 ms are the p95 limits of caches and policies, 0.75 and 7.5 ms are one and a half times those: alerts compare
with a bound, so that no interpolation decides.
"""
BOUNDS_NS = tuple(round(bound_s * 1e9) for bound_s in BOUNDS_S)

MOST_NAMES = 256
MOST_KINDS = 32
LONGEST_NAME = 80


@dataclass(slots=True)
class LatencyTotals:
    """One latency of one engine over all its lives: counts in `BOUNDS_S`, and their sum in seconds."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_S) + 1))
    sum_s: float = 0.0

    @property
    def total(self) -> int:
        """Return the number of operations counted."""
        return sum(self.counts)

    def add(self, histogram: Histogram) -> None:
        """Add one window."""
        for bucket, count in histogram.items():
            upper_ns = upper_bound_ns(bucket)
            lower_ns = upper_bound_ns(bucket - 1) + 1 if bucket else 0
            self.counts[bisect_left(BOUNDS_NS, upper_ns)] += count
            self.sum_s += count * (lower_ns + upper_ns) / 2 * 1e-9


@dataclass(slots=True)
class Chained:
    """A counter that restarts at 0 with each life of a process, made monotonic."""

    past: float = 0.0
    current: float = 0.0

    @property
    def total(self) -> float:
        """The count over all lives."""
        return self.past + self.current

    def read(self, value: float) -> None:
        """Add a reading of this life."""
        self.current = max(self.current, value)

    def restart(self) -> None:
        """Start another life."""
        self.past, self.current = self.total, 0.0


def printable(text: object, longest: int = 500) -> str:
    r"""Make text from an engine safe for a terminal, a log and a label.

    It is cut to length, its secrets are hidden, and control characters are written as \x1b and the like.
    """
    return escaped(cut(str(text), longest))


def is_number(value: object) -> bool:
    """Return whether a reading is a finite number."""
    return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]


def keep(values: dict[str, float], name: str, value: float) -> None:
    """Keep the last reading of a name, for at most `MOST_NAMES` names."""
    if name in values or len(values) < MOST_NAMES:
        values[name] = value


def chain(counters: dict[str, Chained], name: str, value: float) -> None:
    """Read the counter of a name, for at most `MOST_NAMES` names."""
    if name in counters or len(counters) < MOST_NAMES:
        counters.setdefault(name, Chained()).read(value)


def count_incident(counts: Counter[str], what: object) -> str:
    """Count an incident by kind, with at most `MOST_KINDS` unknown kinds; return the kind that it was counted as."""
    kind = printable(what, LONGEST_NAME)
    if kind not in counts and kind not in INCIDENTS and len(counts) >= MOST_KINDS:
        kind = "other"
    counts[kind] += 1
    return kind


def answer_so_far(checks: Iterable[Check]) -> State | None:
    """Return the worst answer so far among the checks that decide; None while nothing was judged.

    A check whose evidence is not due yet is ignored.
    """
    return worst_known(check.answer for check in checks if not check.informational and check.due_seconds is None)
