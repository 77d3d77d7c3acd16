"""Times without a daemon: the run was resumed afterwards, and engines are not blamed for the gap."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from soakd.judge.growth.series import FloatArray
from soakd.judge.story.rundata import EngineData, RunData, Series
from soakd.record.clocks import ClockShift
from soakd.setup.plan import longest_gap_s
from soakd.verdict.check import Check, round_number
from soakd.verdict.details import EvidenceDetail
from soakd.wire.records import Incident

STANDSTILL = "standstill"
DAEMON_GAP = "daemon_gap"
"""The name of the incident, and of the end of lives at that time."""


def check_gaps(run: RunData) -> list[Check]:
    """Judge the time without a daemon; nothing if the run was never resumed, or no engine was ready before."""
    begun_s = -math.inf if run.origin is None else run.origin.mono_s
    missed = [i.gap_s for i in run.incidents if i.what == DAEMON_GAP and i.at.mono_s >= begun_s]
    gaps = [float(gap_s) for gap_s in missed if gap_s is not None]
    if not gaps:
        return []
    limit_s = longest_gap_s(run.plan)
    times = "once" if len(gaps) == 1 else f"{len(gaps)} times"
    check = Check(
        id="evidence.gap", verdict="PASS" if max(gaps) <= limit_s else "INVALID",
        estimate=round_number(max(gaps), 4), limit=limit_s, unit="seconds",
        reason=f"soakd was gone {times}, for {sum(gaps):.0f}s in all", evidence=EvidenceDetail(gaps=len(gaps)),
    )  # fmt: skip
    return [check]


def ends_of_lives(handovers: Sequence[ClockShift], engine: str, *, server: bool = False) -> Mapping[int, float]:
    """Return the lives of an engine or its server that ended with a daemon, with their last wall seconds."""
    ends: dict[int, float] = {}
    for handover in handovers:
        first = (handover.server_lives if server else handover.segments).get(engine, 0)
        if first > 0:
            ends.setdefault(first - 1, handover.since_wall_s)
    return ends


def standstills(incidents: Sequence[Incident], origin_s: float | None) -> tuple[tuple[float, float], ...]:
    """Return the intervals in which soakd itself stood still, in seconds since the origin."""
    if origin_s is None:
        return ()
    told = [i for i in incidents if i.what == STANDSTILL]
    ends = [(i.at.mono_s - origin_s, float(i.seconds)) for i in told if i.seconds is not None]
    return tuple((end_s - seconds, end_s) for end_s, seconds in ends)


def served(data: EngineData, counter: Series) -> tuple[FloatArray, FloatArray]:
    """Return the increase of a counter in each step with a daemon and without a fault, and the steps' seconds.

    Steps from one daemon to the next are left out entirely, because counter and load restart in them. So are steps in
    which soakd stood still, as the load may have been stopped too, and deep looks.
    """
    steps, seconds, later = np.diff(counter.y), np.diff(counter.t_s), counter.segment[1:]
    gained = np.where(np.diff(counter.segment) != 0, counter.y[1:], steps)
    across = data.in_a_fault(counter.t_s[:-1], counter.t_s[1:])
    for from_s, until_s in (*data.standstills, *data.looks_in(counter)):
        across |= (counter.t_s[:-1] <= until_s) & (counter.t_s[1:] >= from_s)
    for first in data.daemon_handovers:
        across |= (counter.segment[:-1] < first) & (later >= first)
    return gained[~across], seconds[~across]
