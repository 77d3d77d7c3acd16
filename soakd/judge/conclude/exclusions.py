"""Lists what was left out of the judgement, with the reason and amount: windows, seconds, operations."""

from collections.abc import Iterator, Sequence

import numpy as np

from soakd.judge.checks.ceilings import WARM_UP_SHARE
from soakd.judge.checks.service_levels import latency_windows
from soakd.judge.growth.series import MIN_SAMPLES, MIN_SHARE
from soakd.judge.story.latency import LatencyWindow
from soakd.judge.story.rundata import EngineData, RunData, running_total
from soakd.verdict.types import Exclusion


def exclusions(run: RunData) -> list[Exclusion]:
    """List everything that was recorded in the load phases and not judged."""
    judged = [engine for engine in run.engines if engine.plan.config.role != "control"]
    return [
        *(entry for engine in run.engines for entry in (*_windows(engine), *_short_lives(engine))),
        *(entry for engine in judged for entry in _warm_up(engine)),
        *(entry for engine in judged for entry in (*_faults(engine), *_looks(engine))),
    ]


def _windows(data: EngineData) -> Iterator[Exclusion]:
    """Yield latency windows that measure soakd more than the engine."""
    observed = [w for w in data.latency if w.phase == "load" and w.observed and w.operations]
    _, bound = latency_windows(data)
    if observed:
        operations = _operations(observed)
        # These are the parts of windows with a child; their operations show how long it was alive.
        yield _entry(
            data, "latency", "a forked child of soakd was alive", len(observed), operations / data.plan.rate_per_s,
            operations,
        )  # fmt: skip
    if bound:
        seconds = sum(w.to_s - w.from_s for w in bound)
        yield _entry(data, "latency", "driver-bound", len(bound), seconds, _operations(bound))


def _short_lives(data: EngineData) -> Iterator[Exclusion]:
    """Yield lives of the process that are too short for a rate."""
    series = data.in_load(data.leak_signal)
    if not len(series):
        return
    whole_s, operations = float(np.ptp(series.t_s)), data.operations_at(series)
    for life in np.unique(series.segment):
        own = series.segment == life
        seconds = float(np.ptp(series.t_s[own]))
        if np.count_nonzero(own) < MIN_SAMPLES or seconds < MIN_SHARE * whole_s:
            done = operations[own][np.isfinite(operations[own])]
            count = float(np.ptp(done)) if len(done) else 0.0
            yield _entry(data, "growth", f"segment {life} is too short for a rate", 1, seconds, count)


def _warm_up(data: EngineData) -> Iterator[Exclusion]:
    """Yield the first quarter of the load phase, which total growth does not count."""
    series = data.in_load(data.leak_signal)
    if data.plan.config.limits.total_growth_bytes is None or len(series) < MIN_SAMPLES:
        return
    end_s = float(series.t_s[0]) + WARM_UP_SHARE * float(np.ptp(series.t_s))
    operations = data.operations_at(series.between(0.0, end_s))
    known = operations[np.isfinite(operations)]
    seconds = end_s - float(series.t_s[0])
    yield _entry(data, "total_growth", "warm-up", 1, seconds, float(np.ptp(known)) if len(known) else 0.0)


def _faults(data: EngineData) -> Iterator[Exclusion]:
    """Yield faults on purpose, from their start to the recovery: left out of trends, latency, errors, rate."""
    for name in dict.fromkeys(fault.name for fault in data.faults):
        windows = [(f.from_s, f.until_s) for f in data.faults if f.name == name and f.from_s is not None]
        seconds = sum((data.plan.load.end_s if until is None else until) - begun for begun, until in windows)
        yield _entry(data, "trends", f"fault {name}", len(windows), seconds, _done_in(data, windows))


def _looks(data: EngineData) -> Iterator[Exclusion]:
    """Yield deep looks, on suspicion or on demand: left out of the achieved rate."""
    if windows := data.looks_in(data.in_load("operations_total")):
        seconds = sum(until_s - from_s for from_s, until_s in windows)
        yield _entry(data, "rate", "a deep look was under way", len(windows), seconds, _done_in(data, windows))


def _done_in(data: EngineData, windows: Sequence[tuple[float, float | None]]) -> float:
    """Return the operations in some intervals, as far as samples show."""
    counter = data.in_load("operations_total")
    if len(counter) < 2:
        return 0.0
    ends = [(begun, data.plan.load.end_s if until is None else until) for begun, until in windows]
    done = np.interp(np.array(ends).ravel(), counter.t_s, running_total(counter)).reshape(-1, 2)
    return float(np.sum(np.diff(done)))


def _operations(windows: Sequence[LatencyWindow]) -> float:
    return float(sum(window.operations for window in windows))


def _entry(
    data: EngineData, what: str, why: str, windows: int, seconds: float, operations: float
) -> Exclusion:  # fmt: skip
    return Exclusion(
        engine=data.name, what=what, why=why, windows=windows, seconds=round(seconds, 3), operations=round(operations)
    )
