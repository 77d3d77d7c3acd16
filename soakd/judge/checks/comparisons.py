"""Comparisons of a rival or twin with its subject on the same operations: each one's figures, and their ratios.

They are shown, never judged. A figure that was not measured on one side is absent there, and has no ratio.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from soakd.judge.checks.service_levels import latency_summary, latency_windows
from soakd.judge.story.cache_fill import ENTRIES, FULL
from soakd.judge.story.rundata import EngineData, RunData, Series, running_total
from soakd.verdict.check import Check, round_number
from soakd.verdict.types import Comparison, Figure

FAMILIES = ("policy", "cache", "authorize")
"""Families of kinds that do the same work, and are compared unless a twin is named."""
LEAST_ENTRIES = 1000
"""With fewer entries the process's own memory dominates."""
LEAST_READINGS = 8
BEGUN = 0.05
"""Before this share of a fill, connections and the first operations take more than entries."""
PERCENTILES = ("p50", "p95", "p99")
TIMED = "service_p95"
"""Measured if any percentile is."""
WITH_SERVER = "operations_per_cpu_second_with_server"
ORDER = (
    "operations_per_second", *(f"service_{percentile}" for percentile in PERCENTILES), "operations_per_cpu_second",
    WITH_SERVER, "memory_per_entry", "growth", "growth_per_operation", "server_growth",
    "server_growth_per_operation",
)  # fmt: skip
"""Of the figures."""
Checks = Mapping[str, Sequence[Check]]


class Measured(NamedTuple):
    """One measured number of one engine."""

    value: float
    unit: str
    comparable: bool = True
    """False if it may be 0, so that a ratio has no meaning."""


def comparisons(run: RunData, checks: Checks) -> list[Comparison]:
    """Compare every rival and twin with its subjects, in the order of the configuration.

    Args:
        run: the run.
        checks: the checks of each engine, by its name.
    """
    measured: dict[str, dict[str, Measured]] = {}
    found = []
    for subject, other in _pairs(run):
        for engine in (subject, other):
            if engine.name not in measured:
                measured[engine.name] = dict(_figures(engine, checks[engine.name]))
        untimed = [_untimed(e.name, checks[e.name]) for e in (subject, other) if TIMED not in measured[e.name]]
        missing = "; ".join(untimed) or None
        found.append(_compare(subject, other, measured[subject.name], measured[other.name], missing))
    return found


def _untimed(name: str, checks: Sequence[Check]) -> str:
    """Return why an engine has no service times to compare."""
    reasons = (check.reason for check in checks if check.id == "latency.p95" and check.reason)
    return f"no service times of {name}: {next(reasons, 'no latency was recorded')}"


def _pairs(run: RunData) -> Iterator[tuple[EngineData, EngineData]]:
    """Yield the pairs to compare: with the engine in `twin_of`, otherwise with all subjects of the same family."""
    for other in run.engines:
        config = other.plan.config
        if config.twin_of is not None:
            yield from ((engine, other) for engine in run.engines if engine.name == config.twin_of)
        elif config.role in ("rival", "twin"):
            for engine in run.engines:
                of = engine.plan.config
                if of.role == "subject" and of.mix == config.mix and _family(of.kind) == _family(config.kind) != "":
                    yield engine, other


def _family(kind: str) -> str:
    family = kind.partition(".")[0]
    return family if family in FAMILIES else ""


def _compare(
    subject: EngineData, other: EngineData, mine: Mapping[str, Measured], theirs: Mapping[str, Measured],
    missing: str | None,
) -> Comparison:  # fmt: skip
    note = _tapes(subject, other)
    names = dict.fromkeys([*mine, *theirs])
    if subject.server is None and other.server is None:
        names.pop(WITH_SERVER, None)
    return Comparison(
        subject=subject.name, other=other.name, role=other.plan.config.role, same_tape=note is None, note=note,
        figures=tuple(_figure(name, mine.get(name), theirs.get(name)) for name in sorted(names, key=_place)),
        missing=missing,
    )  # fmt: skip


def _figure(name: str, mine: Measured | None, theirs: Measured | None) -> Figure:
    known = mine or theirs
    assert known is not None
    if mine is not None and theirs is not None and mine.unit != theirs.unit:
        theirs = None
    ratio = None
    if mine is not None and theirs is not None and mine.comparable and theirs.comparable and mine.value > 0:
        ratio = theirs.value / mine.value
    return Figure(
        id=name, unit=known.unit, subject=round_number(mine.value, 4) if mine else None,
        other=round_number(theirs.value, 4) if theirs else None, ratio=round_number(ratio, 3),
    )  # fmt: skip


def _place(name: str) -> int:
    return ORDER.index(name)


def _tapes(subject: EngineData, other: EngineData) -> str | None:
    """Return why the two were not driven by the same operations; None if they were."""
    tapes = {engine.name: {life.tape_sha256 for life in engine.lives} for engine in (subject, other)}
    unknown = [name for name, hashes in tapes.items() if not hashes or None in hashes]
    if unknown:
        return f"which operations drove {' and '.join(unknown)} was not recorded"
    one, two = tapes.values()
    return None if one == two and len(one) == 1 else "they were not driven by the same operations"


def _figures(data: EngineData, checks: Sequence[Check]) -> Iterator[tuple[str, Measured]]:
    yield from _service(data, checks)
    yield from _processor(data)
    if (bytes_per_entry := memory_per_entry(data)) is not None:
        yield "memory_per_entry", Measured(bytes_per_entry, "bytes/entry")
    yield from _growth(checks, f"growth.{data.leak_signal}", "growth")
    server = "live_bytes" if data.server is not None and len(data.server.signal("live_bytes")) else "rss_anon_bytes"
    yield from _growth(checks, f"growth.server_{server}", "server_growth")


def _service(data: EngineData, checks: Sequence[Check]) -> Iterator[tuple[str, Measured]]:
    counter = data.in_load("operations_total")
    if len(counter) >= 2 and np.ptp(counter.t_s):
        done = running_total(counter)
        yield "operations_per_second", Measured(float((done[-1] - done[0]) / np.ptp(counter.t_s)), "operations/second")
    judged = next((check for check in checks if check.id == "latency.p95"), None)
    summary = latency_summary(latency_windows(data)[0]) if judged is None else judged.latency
    for percentile in PERCENTILES:
        if (seconds := getattr(summary, f"service_{percentile}_s", None)) is not None:
            yield f"service_{percentile}", Measured(seconds, "seconds")


def _processor(data: EngineData) -> Iterator[tuple[str, Measured]]:
    """Return operations per second of processor time: of the engine's process, and including its server's."""
    own = _per_cpu_s(data, data.in_load("cpu_s_total"))
    if own is None:
        return
    yield "operations_per_cpu_second", Measured(own, "operations/second")
    server = None if data.server is None else _per_cpu_s(data, data.server_in_load("cpu_s_total"))
    if data.server is None or server is not None:
        both = own if server is None else 1.0 / (1.0 / own + 1.0 / server)
        yield WITH_SERVER, Measured(both, "operations/second")


def _per_cpu_s(data: EngineData, seconds: Series) -> float | None:
    """Return operations per second of processor time; None if either is unknown or 0."""
    if len(seconds) < 2:
        return None
    operations = data.operations_at(seconds)
    known = np.flatnonzero(np.isfinite(operations))
    if len(known) < 2:
        return None
    first, last = known[0], known[-1]
    used = running_total(seconds)
    done, used_s = float(operations[last] - operations[first]), float(used[last] - used[first])
    return done / used_s if done > 0 and used_s > 0 else None


def memory_per_entry(data: EngineData) -> float | None:
    """Return bytes per cache entry, in the process or server that holds the entries; None if not known.

    It uses the holder's growth with its entries while it fills; if it fills between two samples, the difference between
    the end of the load phase and before it, connections included.
    """
    if data.plan.config.kind == "authorize":  # its parts may be anywhere
        return None
    holder = data.signal(data.leak_signal) if data.server is None else data.server.signal("live_bytes")
    entries = data.signal(ENTRIES)
    load = data.plan.load
    filled = _while_filling(holder.between(load.start_s, load.end_s), entries)
    if filled is not None:
        return filled
    more, held = (_gained(data, series) for series in (entries, holder))
    if more is None or held is None or more < LEAST_ENTRIES or held <= 0:
        return None
    return held / more


def _while_filling(holder: Series, entries: Series) -> float | None:
    """Return the slope of bytes over entries in the life that gained most entries; None if that was too quick."""
    if len(entries) < 2:
        return None
    best: float | None = None
    most = float(LEAST_ENTRIES)
    for life in holder.lives():
        count = np.interp(life.t_s, entries.t_s, entries.y)
        share = count / max(float(np.max(count)), 1.0)
        filling = (share > BEGUN) & (share < FULL)
        if np.count_nonzero(filling) < LEAST_READINGS or (gained := float(np.ptp(count[filling]))) < most:
            continue
        count, y = count[filling] - np.mean(count[filling]), life.y[filling]
        best, most = float(count @ (y - np.mean(y)) / (count @ count)), gained
    return best if best is not None and best > 0 else None


def _gained(data: EngineData, series: Series) -> float | None:
    """Return the difference between the last tenth of the load phase and the baseline."""
    baseline, load = data.plan.phases[0], data.plan.load
    before = series.between(baseline.start_s, baseline.end_s)
    after = series.between(load.end_s - 0.1 * load.duration_s, load.end_s)
    return float(np.median(after.y) - np.median(before.y)) if len(before) and len(after) else None


def _growth(checks: Sequence[Check], check_id: str, name: str) -> Iterator[tuple[str, Measured]]:
    for check in checks:
        if check.id.removesuffix(".per_operation") == check_id and check.estimate is not None:
            certain = check.low is not None and check.low > 0
            suffix = "" if check.unit == "bytes/hour" else "_per_operation"
            yield f"{name}{suffix}", Measured(check.estimate, check.unit, certain)
