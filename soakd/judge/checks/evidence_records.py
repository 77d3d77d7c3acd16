"""Checks that the record of the run is complete and consistent, and counts lost records.

Records get lost in a worker's full pipe, in lines that something else garbled, in the daemon, which refuses those that
its worker cannot have sent, and because of a slow disk. Some readings may be lost: they leave a gap, which other checks
judge. Any other lost record may have been the crash.
"""

from collections.abc import Iterator

import numpy as np

from soakd.judge.story.rundata import EngineData, RunData
from soakd.verdict.check import Check
from soakd.verdict.details import EvidenceDetail

MOST_READINGS_LOST = 0.05
"""The share of readings that may be lost, as in `evidence.coverage`."""
STRAYS = ("garbled", "records_refused")
"""Incidents about lines in a worker's pipe that were not its records."""
COUNTERS = ("operations_total", "errors_total", "dropped_total", "skipped_total")
"""Counters that only grow within a life."""


def check_records(run: RunData) -> Check:
    """Judge unreadable, contradictory and lost records."""
    unreadable = {"the run": run.unreadable} | {e.name: e.unreadable for e in run.engines}
    strays = {e.name: _strays(e) for e in run.engines}
    bad = [f"{count} unreadable readings of {name}" for name, count in unreadable.items() if count]
    bad += [*run.contradictions, *(said for engine in run.engines for said in _contradictions(engine))]
    bad += [f"{n} lines in the record pipe of {name} were not its records" for name, n in strays.items() if n]
    dropped, events = _dropped_anywhere(run)
    if events:
        bad.append(f"{events} records of what happened were dropped: one may have been a crash")
    said = [*bad, *_dropped_words(run)]
    too_many = dropped - events > MOST_READINGS_LOST * (_readings(run) + dropped)
    wrong = sum(unreadable.values()) + sum(strays.values()) + events + (dropped - events if too_many else 0)
    return Check(
        id="evidence.records", verdict="INVALID" if bad or too_many else "PASS",
        estimate=float(max(wrong, len(bad))), limit=0.0, unit="count", reason="; ".join(said),
        evidence=EvidenceDetail(lost_records=(sum(strays.values()) + dropped) or None),
    )  # fmt: skip


def dropped_by_worker(data: EngineData) -> int:
    """Return the records that did not fit into the pipe, over all lives: from its samples, or its `bye`."""
    dropped = data.signal("records_dropped_total")
    lost = {int(life): int(np.max(dropped.y[dropped.segment == life])) for life in np.unique(dropped.segment)}
    for life in data.lives:
        lost[life.segment] = max(lost.get(life.segment, 0), life.records_dropped)
    return sum(lost.values())


def _strays(data: EngineData) -> int:
    """Return how many lines were not the worker's; at least one per incident, as older ones have no number."""
    return sum(i.count or 1 for i in data.incidents if i.what in STRAYS)


def _dropped_anywhere(run: RunData) -> tuple[int, int]:
    """Return the records that were dropped by workers and the daemon, and how many of them were events."""
    dropped = run.records_dropped + sum(dropped_by_worker(engine) for engine in run.engines)
    events = run.events_dropped + sum(life.events_dropped for engine in run.engines for life in engine.lives)
    return max(dropped, events), events


def _dropped_words(run: RunData) -> Iterator[str]:
    for engine in run.engines:
        if dropped := dropped_by_worker(engine):
            yield f"{dropped} records of {engine.name} were dropped: the pipe to soakd was full"
    if run.records_dropped:
        yield f"{run.records_dropped} records were dropped: the disk was too slow"


def _readings(run: RunData) -> int:
    """Return the number of samples of workers, from inside and outside."""
    return sum(len(e.signal(name)) for e in run.engines for name in ("operations_total", "rss_anon_bytes"))


def _contradictions(data: EngineData) -> Iterator[str]:
    double = {name: count for name, series in data.series.items() if (count := series.contradictions())}
    if double:
        names = ", ".join(list(double)[:3])
        yield f"{sum(double.values())} readings of {data.name} contradict another of the same moment ({names})"
    for name in COUNTERS:
        counter = data.signal(name)
        if len(counter) and np.any((np.diff(counter.y) < 0) & (np.diff(counter.segment) == 0)):
            yield f"{name} of {data.name} went back within one life"
