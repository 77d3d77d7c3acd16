"""The tables of docs/verdicts.md that are computed: how long to soak for a limit, and what a look before the end says.

python -m tools.verdict_tables length
python -m tools.verdict_tables looks
"""

import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from soakd.judge.growth.method import judge_growth
from soakd.verdict.resolution import LEAST_HOURS, RESOLUTION_BYTES
from tests.growth_traces import PAGE_MB, SHAPES, noise, trace

HOURS = (0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 18.0, 24.0, 36.0, 48.0)
LIMITS = (0.1, 0.5, 1.0, 5.0, 10.0)
SEEDS = range(20)
ENOUGH = 19
"""Of 20 simulated services."""
LOOKS = (2, 4, 8, 12, 16, 20, 24)
LOOK_SEEDS = range(8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """What is assumed of a signal beside its growth: MB and hours."""

    name: str
    every_h: float
    noise_mb: float
    memory_h: float
    """Correlation time of the noise."""
    warm_up_mb: float
    warm_up_h: float
    step_mb: float
    resolution_mb: float

    def series(self, hours: float, rate: float, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """One simulated service."""
        rng = np.random.default_rng([seed, round(hours * 60), round(rate * 1000)])
        t = np.arange(0.0, hours, self.every_h)
        y = self.warm_up_mb * (1.0 - np.exp(-t / self.warm_up_h)) + rate * t
        y += noise(t.size, rng, phi=float(np.exp(-self.every_h / self.memory_h)), deviation=self.noise_mb)
        return t, np.round(y / self.step_mb) * self.step_mb


SIGNALS = (
    Signal(
        name="reachable_bytes", every_h=1 / 60, noise_mb=0.006, memory_h=5 / 60, warm_up_mb=1.0, warm_up_h=10 / 60,
        step_mb=1e-6, resolution_mb=RESOLUTION_BYTES["reachable_bytes"] / 1e6,
    ),
    Signal(
        name="rss_anon_bytes", every_h=10 / 3600, noise_mb=0.1, memory_h=10 / 60, warm_up_mb=10.0, warm_up_h=20 / 60,
        step_mb=PAGE_MB, resolution_mb=RESOLUTION_BYTES["rss_anon_bytes"] / 1e6,
    ),
)  # fmt: skip


def decided(signal: Signal, limit: float, hours: float, leaks: bool) -> bool:
    """Whether nearly every simulated service of this kind gets its right answer in so many hours of load."""
    return sum(_is_right(signal, limit, hours, leaks, seed) for seed in SEEDS) >= ENOUGH


def _is_right(signal: Signal, limit: float, hours: float, leaks: bool, seed: int) -> bool:
    t, y = signal.series(hours, 2.0 * limit if leaks else 0.0, seed)
    growth = judge_growth(t, y, limit=limit)
    if growth.estimate is None or growth.low is None:
        return False
    if leaks:
        return growth.state == "FAIL" and growth.low * hours >= signal.resolution_mb
    return growth.state == "PASS" and growth.estimate - growth.low <= limit and hours >= LEAST_HOURS


def length_table() -> Iterator[str]:
    """The least hours of load from which on, at every longer length too, the answer is right."""
    yield "| limit | " + " | ".join(f"{s.name}: healthy PASS | a leak of 2x FAIL" for s in SIGNALS) + " |"
    yield "|---|" + "---|" * (2 * len(SIGNALS))
    cases = list(product(LIMITS, SIGNALS, (False, True), HOURS))
    with ProcessPoolExecutor(2) as pool:
        jobs = [pool.submit(decided, signal, limit, hours, leaks) for limit, signal, leaks, hours in cases]
        answers = {case: job.result() for case, job in zip(cases, jobs, strict=True)}
    for limit in LIMITS:
        columns = ([answers[limit, s, leaks, h] for h in HOURS] for s in SIGNALS for leaks in (False, True))
        yield f"| {limit:g} MB/h | " + " | ".join(map(_least, columns)) + " |"


def _least(right: list[bool]) -> str:
    wrong = [i for i, is_right in enumerate(right) if not is_right]
    first = wrong[-1] + 1 if wrong else 0
    return f"{HOURS[first]:g} h" if first < len(HOURS) else f"more than {HOURS[-1]:g} h"


def looks_table() -> Iterator[str]:
    """What the first hours of simulated days say."""
    yield "| first hours of 24 | healthy: FAIL / PASS / open | leaking: FAIL / PASS / open |"
    yield "|---|---|---|"
    with ProcessPoolExecutor(2) as pool:
        answers = list(pool.map(_look, product(LOOKS, SHAPES, (None, "steady"), LOOK_SEEDS), chunksize=20))
    for look in LOOKS:
        count = Counter(answer for hours, *answer_ in answers for answer in [tuple(answer_)] if hours == look)
        total = len(SHAPES) * len(LOOK_SEEDS)
        cells = (
            " / ".join(f"{100 * count[leaks, state] / total:.0f} %" for state in ("FAIL", "PASS", "INCONCLUSIVE"))
            for leaks in (False, True)
        )
        yield f"| {look} | " + " | ".join(cells) + " |"


def _look(case: tuple[int, str, str | None, int]) -> tuple[int, bool, str]:
    hours, shape, leak, seed = case
    t = trace(shape, seed, leak=leak)
    seen = t.hours < hours
    return hours, leak is not None, judge_growth(t.hours[seen], t.megabytes[seen], limit=t.limit).state


if __name__ == "__main__":
    print("\n".join({"length": length_table, "looks": looks_table}[sys.argv[1]]()))
