"""What a growth verdict costs, and how often it is wrong on simulated traces.

python -m benches.bench_growth [SEEDS]
python -m benches.bench_growth kinds [SEEDS]     the kinds on which it was once wrong, as the table of docs/adr/0003
"""

import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

import numpy as np
from scipy.stats import beta

from soakd.judge.growth.method import DAY_H, judge_growth
from tests.growth_families import KINDS, traces
from tests.growth_traces import Trace, held_out, trace

TITLE = "one growth verdict (error rates: python -m benches.bench_growth SEEDS)"


def rows() -> Iterator[tuple[str, float, str, str]]:
    """CPU of one verdict, and the most memory so far: (what, value, unit, remark)."""
    for n in (60, 288, 8_640, 100_000, 500_000):
        t = trace("warm_and_sawtooth", 1, n=n)
        judge_growth(t.hours, t.megabytes, limit=t.limit, day=DAY_H)
        times = []
        for _ in range(5):
            start = time.process_time()
            judge_growth(t.hours, t.megabytes, limit=t.limit, day=DAY_H)
            times.append(time.process_time() - start)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        yield f"{n:,} samples", float(np.median(times)) * 1e3, "ms CPU", f"peak so far {peak:.0f} MiB, imports included"


class Answer(NamedTuple):
    """What became of a trace."""

    family: str
    leaks: bool
    state: str
    covered: bool
    """The interval holds the true rate."""


def judge(t: Trace) -> Answer:
    """Judge one trace."""
    growth = judge_growth(t.hours, t.megabytes, t.segment, limit=t.limit, day=DAY_H)
    assert growth.low is not None
    assert growth.high is not None
    return Answer(t.family, t.leaks, growth.state, growth.low <= t.rate <= growth.high)


def error_rates(seeds: int) -> None:
    """False answers by family, and in all."""
    with ProcessPoolExecutor(2) as pool:
        answers = list(pool.map(judge, held_out(range(seeds)), chunksize=20))
    count = Counter((leaks, state) for _, leaks, state, _ in answers)
    open_families = Counter(family for family, _, state, _ in answers if state == "INCONCLUSIVE")
    wrong = Counter(family for family, leaks, state, _ in answers if state == ("PASS" if leaks else "FAIL"))
    healthy = sum(n for (leaks, _), n in count.items() if not leaks)
    undecided = sum(open_families.values()) / len(answers)
    coverage = np.mean([covered for *_, covered in answers])
    print(f"false FAIL {count[False, 'FAIL']}/{healthy}, false PASS {count[True, 'PASS']}/{len(answers) - healthy},")
    print(f"inconclusive {undecided:.1%} ({dict(open_families.most_common(6))}), coverage {coverage:.1%}")
    print(f"wrong: {dict(wrong)}")


def kinds(seeds: range) -> None:
    """Print a row for each kind of `tests/growth_families.py`, wrong answers with their upper bounds of 95 %."""
    print("| kind | false FAIL | false PASS | inconclusive | coverage |\n|---|---|---|---|---|")
    for kind in KINDS:
        with ProcessPoolExecutor(2) as pool:
            answers = list(pool.map(judge, traces(kind, seeds), chunksize=20))
        healthy, leaking = (
            _at_most(sum(a.state == wrong for a in answers if a.leaks is leaks), len(seeds))
            for leaks, wrong in ((False, "FAIL"), (True, "PASS"))
        )
        left_open = float(np.mean([a.state == "INCONCLUSIVE" for a in answers]))
        coverage = float(np.mean([a.covered for a in answers]))
        print(f"| {kind} | {healthy} | {leaking} | {left_open:.1%} | {coverage:.1%} |")


def _at_most(wrong: int, of: int) -> str:
    """So many wrong answers, and the largest rate of them that is not refuted with 95 % (Clopper and Pearson)."""
    return f"{wrong}/{of} (< {float(beta.ppf(0.95, wrong + 1, of - wrong)):.1%})"


if __name__ == "__main__":
    if sys.argv[1:2] == ["kinds"]:
        kinds(range(int(sys.argv[2]) if len(sys.argv) > 2 else 20))
    else:
        error_rates(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
