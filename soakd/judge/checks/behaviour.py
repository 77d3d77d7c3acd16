"""Does an engine still do its work? One that swallows its errors has none that anybody counts.

It may say so: a counter `swallowed_errors` is judged as errors are. And an operation that suddenly costs a tenth of
what it did has perhaps stopped doing anything: told, and failing nothing, for caches do that too.
"""

from collections.abc import Iterator

import numpy as np

from soakd.judge.checks.service_levels import gained_in_load
from soakd.judge.growth.series import FloatArray
from soakd.judge.story.rundata import EngineData, running_total
from soakd.units import format_duration
from soakd.verdict.check import Check, below, round_number
from soakd.verdict.wording import quantity_words

SWALLOWED = "counter.swallowed_errors"
LOOKED_FOR_SINCE = "children"
"""A signal that every recording has in which this is looked for: the verdicts on older ones stay as they are."""
WARM_UP_SHARE = 0.1
"""Of the load phase: what changes in it is a start."""
TIMES = 10.0
SUDDENLY = 5.0
"""Of two readings next to each other, or with one between them, the later costs so many times less."""
LEAST_S = 50e-6
"""An operation that cost less before says little: the driver and the clock cost something, too."""
LEAST_POINTS = 3
MOST_POINTS = 240


def check_behaviour(data: EngineData) -> Iterator[Check]:
    """Judge what the engine says that it swallowed, and tell of an operation that has become suspiciously cheap."""
    swallowed, done = gained_in_load(data, SWALLOWED), gained_in_load(data, "operations_total")
    if swallowed is not None and done is not None:
        ratio = round_number(swallowed / done) if done else None
        limit = data.plan.config.limits.error_ratio
        yield below("errors.swallowed", ratio, limit, "ratio", missing="no operation completed")
    if not len(data.signal(LOOKED_FOR_SINCE)):
        return
    for words, (t_s, cost_s) in (("took", _times(data)), ("cost the processor", _processor(data))):
        if (found := _change(t_s, cost_s)) is not None:
            yield _told(data, words, t_s, cost_s, found)
            return


def _times(data: EngineData) -> tuple[FloatArray, FloatArray]:
    """Return when windows of the load phase began, and the median service time in each."""
    broken = {fault.name for fault in data.faults}
    windows = sorted(
        (window.from_s, window.service_p50_s)
        for window in data.latency
        if window.phase == "load" and window.fault not in broken and window.service_p50_s
    )
    t_s, cost_s = np.array(windows, dtype=np.float64).reshape(-1, 2).T
    return _thinned(t_s), _thinned(cost_s)


def _processor(data: EngineData) -> tuple[FloatArray, FloatArray]:
    """Return the processor seconds of an operation in 48 parts of the load phase, and when they began."""
    used, done = data.trend("cpu_s_total"), data.trend("operations_total")
    if len(used) < MOST_POINTS // 10 or len(done) < MOST_POINTS // 10:
        return np.empty(0), np.empty(0)
    edges = np.linspace(max(used.t_s[0], done.t_s[0]), min(used.t_s[-1], done.t_s[-1]), 49)
    spent, operations = (np.diff(np.interp(edges, series.t_s, running_total(series))) for series in (used, done))
    some = operations > 0.0
    return edges[:-1][some], spent[some] / operations[some]


def _thinned(values: FloatArray) -> FloatArray:
    """Put neighbours together, each group its median."""
    if len(values) <= MOST_POINTS:
        return values
    return np.array([float(np.median(group)) for group in np.array_split(values, MOST_POINTS)])


def _change(t_s: FloatArray, cost_s: FloatArray) -> int | None:
    """Return the reading from which on an operation costs a tenth; None where there is none."""
    begun_s = t_s[0] + WARM_UP_SHARE * (t_s[-1] - t_s[0]) if len(t_s) else 0.0
    first = int(np.searchsorted(t_s, begun_s)) + LEAST_POINTS
    for at in range(first, len(t_s) - LEAST_POINTS + 1):
        before, after = cost_s[first - LEAST_POINTS : at], cost_s[at:]
        sudden = max(cost_s[at - 1], cost_s[at - 2]) >= SUDDENLY * cost_s[at]
        least = float(np.quantile(before, 0.25))
        if sudden and least >= LEAST_S and least >= TIMES * float(np.quantile(after, 0.75)):
            return at
    return None


def _told(data: EngineData, words: str, t_s: FloatArray, cost_s: FloatArray, at: int) -> Check:
    before_s, after_s = (float(np.median(part)) for part in (cost_s[:at], cost_s[at:]))
    since = format_duration(round(float(t_s[at]) - data.plan.load.start_s))
    reason = (
        f"an operation {words} {quantity_words(before_s, 'seconds')} until {since} after the load began, and "
        f"{quantity_words(after_s, 'seconds')} from then on: is its work still done?"
    )
    return Check(
        id="behaviour.changed", verdict="FAIL", informational=True, estimate=round_number(after_s),
        limit=round_number(before_s / TIMES), unit="seconds", reason=reason,
    )  # fmt: skip
