"""Is there enough evidence, and is the instrument sound? What is missing or broken here is never a PASS."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from soakd.analysis.check import Check, round_number
from soakd.analysis.outlook import Outlook
from soakd.analysis.rundata import ENDINGS, EngineData, RunData

LEAST_COVERAGE = 0.95
LONGEST_PROBE_GAP = 0.20
"""Share of the load phase without a reading of a deciding signal after which its probe counts as dead."""
LONGEST_PROBE_GAP_IN_A_SHORT_RUN = 0.40
SNAPSHOT_TAKES_S = 15.0
COUNTED = ("fds", "threads", "tasks")
CLOCK_STEP_S = 5.0
SLEEP_S = 1.0


def check_evidence(data: EngineData, outlook: Outlook) -> Iterator[Check]:
    """Judge the evidence of one engine: coverage of its samples, the probes that decide, its processes."""
    yield _coverage(data, outlook)
    yield _probe(data, outlook)
    yield _process(data)


def check_run_evidence(run: RunData) -> Iterator[Check]:
    """Judge the evidence of the whole run: its clocks and its records."""
    yield _clocks(run)
    yield _records(run)


def clock_incidents(clocks: np.ndarray[Any, Any]) -> Iterator[dict[str, Any]]:
    """Find the moments at which the clocks disagree.

    Args:
        clocks: shape (n, 3), wall, boot and monotonic seconds.
    """
    for before, after in pairwise(clocks):
        wall_s, boot_s, mono_s = after - before
        at_wall_s = round(float(after[0]), 3)
        if boot_s - mono_s > SLEEP_S:
            yield {"what": "sleep", "at_wall_s": at_wall_s, "detail": f"the host slept {boot_s - mono_s:.0f}s"}
        elif abs(wall_s - boot_s) > CLOCK_STEP_S:
            detail = f"the wall clock stepped by {wall_s - boot_s:+.0f}s"
            yield {"what": "clock_step", "at_wall_s": at_wall_s, "detail": detail}


def _coverage(data: EngineData, outlook: Outlook) -> Check:
    """Share of the load phase's samples that arrived, the least of inside and outside readings."""
    load, end_s = data.plan.load, min(data.plan.load.end_s, outlook.seen_s)
    expected = max(1.0, (end_s - load.start_s) / data.plan.sample_every_s)
    counts = [len(data.in_load(signal)) for signal in ("operations_total", "rss_anon_bytes")]
    ratio = min(1.0, min(counts) / expected)
    dropped = _dropped(data)
    gap_s = _longest_gap(data.in_load("operations_total").t_s, load.start_s, end_s)
    reasons = [] if ratio >= LEAST_COVERAGE else [f"{min(counts)} of {expected:.0f} samples; longest gap {gap_s:.0f}s"]
    if dropped:
        reasons.append(f"{dropped:.0f} records were dropped: the pipe to soakd was full")
    too_many = dropped > (1.0 - LEAST_COVERAGE) * (expected + dropped)
    return Check(
        id="evidence.coverage", verdict="INVALID" if ratio < LEAST_COVERAGE or too_many else "PASS",
        estimate=round_number(ratio, 4), limit=LEAST_COVERAGE, unit="ratio", reason="; ".join(reasons),
        more={"longest_gap_seconds": round_number(gap_s, 4), "dropped_records": dropped or None},
    )  # fmt: skip


def _dropped(data: EngineData) -> float:
    """Return the records that did not fit into the pipe, over all lives."""
    dropped = data.signal("records_dropped_total")
    return float(sum(np.max(dropped.y[dropped.segment == life]) for life in np.unique(dropped.segment)))


def _probe(data: EngineData, outlook: Outlook) -> Check:
    """A deciding signal that fell silent cannot pass anything. The worst one is the estimate."""
    load, end_s = data.plan.load, min(data.plan.load.end_s, outlook.seen_s)
    gaps = {signal: _gap(data, signal, end_s) for signal in _deciding(data)}
    # A snapshot child keeps the others waiting for seconds on a busy host: no death, and much of a minute's run.
    allowed = min(LONGEST_PROBE_GAP_IN_A_SHORT_RUN, max(LONGEST_PROBE_GAP, SNAPSHOT_TAKES_S / load.duration_s))
    dead = [signal for signal, gap in gaps.items() if gap > allowed]
    failures = _failures(data)
    reasons = [_silence(data, signal, gaps[signal]) for signal in dead]
    reasons += [f"readings of {probe} failed {count:.0f} times" for probe, count in failures.items()]
    return Check(
        id="evidence.probe", verdict="INVALID" if dead and outlook.seen_s > load.start_s else "PASS",
        estimate=round_number(max(gaps.values()), 4), limit=round_number(allowed, 4), unit="ratio",
        reason="; ".join(reasons),
        more={"samples": len(data.in_load(data.leak_signal)), "failed_readings": failures or None},
    )  # fmt: skip


def _deciding(data: EngineData) -> tuple[str, ...]:
    """Return the signals without which nothing can pass; what an engine never had, such as tasks, is not missed."""
    counted = (signal for signal in COUNTED if len(data.signal(signal)))
    return (data.leak_signal, "rss_anon_bytes", "operations_total", *counted)


def _gap(data: EngineData, signal: str, end_s: float) -> float:
    """Return the longest silence of a signal as a share of the load phase; 1 where it was never read in it."""
    load, readings = data.plan.load, data.in_load(signal).t_s
    return _longest_gap(readings, load.start_s, end_s) / load.duration_s if len(readings) else 1.0


def _silence(data: EngineData, signal: str, gap: float) -> str:
    if not len(data.in_load(signal)):
        return f"{signal} was never read"
    return f"{signal} was silent for {gap:.0%} of the load phase"


def _failures(data: EngineData) -> Mapping[str, float]:
    """Return how often each probe failed, over all lives."""
    found = {}
    for name, series in data.series.items():
        if name.startswith("probe.") and name.endswith(".failures_total"):
            lives = np.unique(series.segment)
            count = float(sum(np.max(series.y[series.segment == life]) for life in lives))
            if count:
                found[name.removeprefix("probe.").removesuffix(".failures_total")] = count
    return found


def _process(data: EngineData) -> Check:
    """A process that became another one while nobody saw the first one end was not watched."""
    told = {(i.segment, i.body.get("what")) for i in data.incidents if i.body.get("what") in (*ENDINGS, "restart")}
    unseen = [
        f"pid {before.pid} became {after.pid} in segment {after.segment} and no incident says why"
        for before, after in pairwise(data.lives)
        if before.pid != after.pid and not _explained(before.segment, told)
    ]
    return Check(
        id="evidence.process", verdict="INVALID" if unseen else "PASS", estimate=float(len(unseen)), limit=0.0,
        unit="count", reason="; ".join(unseen[:3]),
    )  # fmt: skip


def _explained(segment: int, told: set[tuple[int, Any]]) -> bool:
    """An incident of the old life, or the restart that begins the new one."""
    return any(life == segment and what != "restart" for life, what in told) or (segment + 1, "restart") in told


def _longest_gap(t_s: np.ndarray[Any, Any], start_s: float, end_s: float) -> float:
    edges = np.concatenate(([start_s], t_s, [max(start_s, end_s)]))
    return float(np.max(np.diff(edges)))


def _clocks(run: RunData) -> Check:
    """Wall-clock steps and host sleep: between any two of the daemon's readings all clocks advance alike."""
    steps = list(clock_incidents(run.clocks))
    reason = "; ".join(dict.fromkeys(step["detail"] for step in steps[:3]))
    return Check(
        id="evidence.clock", verdict="INVALID" if steps else "PASS", estimate=float(len(steps)), limit=0.0,
        unit="count", reason=reason,
    )  # fmt: skip


def _records(run: RunData) -> Check:
    """Numbers that are none, and records that nobody understands: the journal was damaged, or meddled with."""
    counts: Sequence[tuple[str, int]] = [("the run", run.unreadable), *((e.name, e.unreadable) for e in run.engines)]
    bad = [f"{count} unreadable readings of {name}" for name, count in counts if count]
    lost = run.end.body.get("records_dropped") if run.end else None
    said = [*bad, *([f"{lost} records were dropped: the disk was too slow"] if lost else [])]
    return Check(
        id="evidence.records", verdict="INVALID" if bad else "PASS",
        estimate=float(sum(count for _, count in counts)), limit=0.0, unit="count",
        reason="; ".join(said),
    )  # fmt: skip
