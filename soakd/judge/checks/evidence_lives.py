"""Checks that the judged processes are the ones that ran: every life needs a recorded beginning and end."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from soakd.judge.checks.outlook import Outlook
from soakd.judge.story.interruptions import DAEMON_GAP
from soakd.judge.story.rundata import EngineData
from soakd.verdict.check import Check
from soakd.verdict.severity import State
from soakd.wire.records import LIFE_ENDS

LEAST_JUDGED = 0.5
"""The least share of the load phase, or of a table's time, that lives long enough for a rate must cover."""


def check_lives(data: EngineData, outlook: Outlook) -> Check:
    """Judge that every life of an engine's process is known, one after the other, and long enough to be judged."""
    unseen = [*_unannounced(data), *_unexplained(data), *_overlapping(data), *_unended(data, outlook)]
    state: State = "INVALID" if unseen else "PASS"
    if not unseen and outlook.final and (judged := _judged_share(data)) < LEAST_JUDGED:
        state = "INCONCLUSIVE"
        unseen = [f"lives that are long enough for a rate make up {judged:.0%} of the load phase"]
    return Check(
        id="evidence.process", verdict=state, estimate=float(len(unseen)), limit=0.0, unit="count",
        reason="; ".join(unseen[:3]),
    )  # fmt: skip


def _unannounced(data: EngineData) -> Iterator[str]:
    """Return lives with readings whose worker never identified itself."""
    said = [life.segment for life in data.lives]
    if not said:
        yield "no life of its process was recorded"
        return
    for segment in np.unique(data.signal("operations_total").segment):
        if segment not in said:
            yield f"segment {segment} has readings and no hello: which process was it?"
    if len(set(said)) < len(said):
        yield "two processes say that they are one segment"


def _unexplained(data: EngineData) -> Iterator[str]:
    told = {(i.segment, i.what) for i in data.incidents if i.what in LIFE_ENDS or i.what == "restart"}
    for before, after in pairwise(data.lives):
        if before.pid != after.pid and before.ended_by != DAEMON_GAP and not _explained(before.segment, told):
            yield f"pid {before.pid} became {after.pid} in segment {after.segment} and no incident says why"


def _explained(segment: int, told: set[tuple[int, str]]) -> bool:
    """Return whether an incident of the old life, or the restart that begins the new one, explains the change."""
    return any(life == segment and what != "restart" for life, what in told) or (segment + 1, "restart") in told


def _overlapping(data: EngineData) -> Iterator[str]:
    """Return lives whose readings overlap in time: two processes ran at once under one name."""
    for before, after in pairwise(data.signal("operations_total").lives()):
        if after.t_s[0] < before.t_s[-1]:
            yield f"segments {before.segment[0]} and {after.segment[0]} overlap in time"


def _unended(data: EngineData, outlook: Outlook) -> Iterator[str]:
    """Return the lives of a completed run without a `bye` or another recorded end."""
    if outlook.final and outlook.share >= 1.0:
        for life in data.lives:
            if life.ended_by == "running":
                yield f"nothing says how segment {life.segment} ended"


def _judged_share(data: EngineData) -> float:
    series = data.in_load(data.leak_signal)
    whole_s = float(np.ptp(series.t_s)) if len(series) else 0.0
    judged_s = sum(float(np.ptp(life.t_s)) for life in series.judged_lives())
    return judged_s / whole_s if whole_s and judged_s else 1.0  # no life at all: the growth checks report that
