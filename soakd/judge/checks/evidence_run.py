"""Checks the evidence of the whole run: its clocks, its records, times without a daemon."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from soakd.judge.checks.evidence_records import check_records
from soakd.judge.checks.outlook import Outlook
from soakd.judge.story.interruptions import check_gaps
from soakd.judge.story.rundata import RunData
from soakd.record.clocks import reboots
from soakd.verdict.check import Check
from soakd.verdict.types import Incident

CLOCK_STEP_S = 5.0
SLEEP_S = 1.0
LONGEST_UNWATCHED = 0.40
"""Clocks count as unwatched after this share of the run without a reading of soakd itself."""


def check_run_evidence(run: RunData, outlook: Outlook) -> Iterator[Check]:
    """Judge the evidence of the whole run: its clocks and its records."""
    yield _clocks(run, outlook)
    yield check_records(run)
    yield from check_gaps(run)


def clock_incidents(clocks: np.ndarray[Any, Any]) -> Iterator[Incident]:
    """Find the times at which the clocks disagree.

    Args:
        clocks: shape (n, 3), wall, boot and monotonic seconds.
    """
    for before, after in pairwise(clocks):
        wall_s, boot_s, mono_s = after - before
        at_wall_s = round(float(after[0]), 3)
        if abs(boot_s - mono_s) > SLEEP_S:
            slept = boot_s > mono_s
            detail = f"the host slept {boot_s - mono_s:.0f}s" if slept else "CLOCK_BOOTTIME went back: another boot?"
            yield Incident({"what": "sleep" if slept else "clock_step", "at_wall_s": at_wall_s, "detail": detail})
        elif abs(wall_s - boot_s) > CLOCK_STEP_S:
            detail = f"the wall clock stepped by {wall_s - boot_s:+.0f}s"
            yield Incident({"what": "clock_step", "at_wall_s": at_wall_s, "detail": detail})


def _clocks(run: RunData, outlook: Outlook) -> Check:
    """Judge wall-clock steps and host sleep: between any two of the daemon's readings all clocks must advance alike."""
    steps = list(clock_incidents(run.clocks))
    reasons = list(dict.fromkeys(step.detail for step in steps[:3]))
    boots = {life.boot_id for engine in run.engines for life in engine.lives if life.boot_id}
    if len(boots) > 1 + reboots(run.handovers):
        reasons.append(f"the workers tell of {len(boots)} boots of the host")
    if outlook.final and (unwatched := _unwatched(run, outlook)) > LONGEST_UNWATCHED:
        reasons.append(f"soakd's own readings are missing for {unwatched:.0%} of the run: nobody watched the clocks")
    return Check(
        id="evidence.clock", verdict="INVALID" if reasons else "PASS", estimate=float(len(steps)), limit=0.0,
        unit="count", reason="; ".join(reasons),
    )  # fmt: skip


def _unwatched(run: RunData, outlook: Outlook) -> float:
    """Return the daemon's longest silence as a share of the run; 1 if it was never read."""
    if run.origin is None or not len(run.clocks) or not outlook.seen_s:
        return 1.0
    read_s = run.clocks[:, 2] - run.origin.mono_s
    edges = np.concatenate(([0.0], read_s[(read_s > 0.0) & (read_s < outlook.seen_s)], [outlook.seen_s]))
    return float(np.max(np.diff(edges))) / outlook.seen_s
