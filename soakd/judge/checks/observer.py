"""soakd's own resources and growth: the daemon is judged like an engine, and the null control shows the harness."""

import dataclasses
from collections.abc import Mapping, Sequence

from soakd.judge.checks.growth import hourly_answer
from soakd.judge.growth.series import MIN_SAMPLES, extent
from soakd.judge.story.rundata import EngineData, RunData, Series, running_total
from soakd.units import format_rate
from soakd.verdict.check import Check, round_number
from soakd.verdict.details import GrowthDetail
from soakd.verdict.resolution import LEAST_HOURS, RESOLUTION_BYTES
from soakd.verdict.types import Observer

OWN_LIMIT_BYTES_PER_H = 1e6
"""The limit for soakd itself; an engine that grows faster would fail by default."""
PAGES = "rss_anon_bytes"
OWN_SIGNALS = ("reachable_bytes", PAGES)
CONTROL = "control.null"
BOUNDS = ("", "_low", "_high")


def check_observer(run: RunData) -> Check:
    """Judge the daemon's own growth like an engine's: by reachable bytes and by anonymous RSS.

    From two hours of load on it is evidence: a growing instrument is INVALID.
    """
    load_s = max(engine.plan.load.duration_s for engine in run.engines)
    long = load_s >= LEAST_HOURS * 3600.0
    answers = [_answer(run.own, signal, series, decides=long) for signal, series in _own_memory(run) if run.own]
    if not answers:
        return Check(id="observer.growth", verdict="INCONCLUSIVE", informational=not long, reason="soakd was not read")
    # reachable bytes stand first: they resolve what pages hide. Pages may fail beside them; their noise decides nothing
    check = next((one for one in answers if one.verdict == "FAIL"), answers[0])
    if check.verdict == "FAIL":
        check = dataclasses.replace(check, verdict="INVALID", reason="soakd itself grows: what it reads is in doubt")
    elif check.verdict == "INCONCLUSIVE":  # its noise must not affect others
        check = dataclasses.replace(check, informational=True)
    return check


def _answer(own: EngineData, signal: str, series: Series, *, decides: bool) -> Check:
    answer = hourly_answer(own, series, OWN_LIMIT_BYTES_PER_H, RESOLUTION_BYTES[signal])
    check = dataclasses.replace(answer, explained_by=None).check("observer.growth", decides=decides)
    return dataclasses.replace(check, signal=signal)


def observer(run: RunData, growth: Check, checks: Mapping[str, Sequence[Check]]) -> Observer:
    """Return soakd's own processor share, memory and growth, and the growth of its null control.

    Args:
        run: the run.
        growth: the answer of `check_observer`.
        checks: the checks of each engine, by its name.
    """
    found: dict[str, float | None] = {}
    if run.own is not None:
        cpu, resident = run.own.signal("cpu_s_total"), run.own.signal("rss_bytes")
        if whole_s := extent(cpu.t_s):
            found["cpu_ratio"] = round_number(extent(running_total(cpu)) / whole_s, 3)
        if len(resident):
            found["resident_bytes"] = float(resident.y[-1])
        for signal in ("live_bytes", "reachable_bytes"):
            if len(series := run.own.signal(signal)):
                found[signal] = float(series.y[-1])
    rates = (growth.estimate, growth.low, growth.high)
    found |= {f"growth_bytes_per_hour{bound}": rate for bound, rate in zip(BOUNDS, rates, strict=True)}
    return Observer(**found, **harness_growth(run, checks))


def harness_growth(run: RunData, checks: Mapping[str, Sequence[Check]]) -> dict[str, float | None]:
    """Return the null control's growth per operation and per hour, with intervals: soakd's share of every figure."""
    check = _null_check(run, checks)
    if check is None or check.estimate is None:
        return {}
    mine, other = ("hour", "operation") if check.unit == "bytes/hour" else ("operation", "hour")
    own = zip(BOUNDS, (check.estimate, check.low, check.high), strict=True)
    beside = check.growth or GrowthDetail()
    return {
        **{f"harness_growth_bytes_per_{mine}{bound}": rate for bound, rate in own},
        **{f"harness_growth_bytes_per_{other}{bound}": getattr(beside, f"per_{other}{bound}") for bound in BOUNDS},
    }


def harness_words(found: Observer) -> str | None:
    """Return soakd's own share as one sentence; None if it is not known."""
    names = [f"harness_growth_bytes_per_{unit}{bound}" for unit in ("operation", "hour") for bound in BOUNDS]
    figures = [value for name in names if (value := getattr(found, name)) is not None]
    if len(figures) < len(names):
        return None
    operation, operation_low, operation_high, hour, hour_low, hour_high = figures
    return (
        f"soakd's own share of these figures, from its empty control: {operation:.2g} B per operation "
        f"[{operation_low:.2g}, {operation_high:.2g}], "
        f"{format_rate(hour)} [{hour_low / 1e6:.2f}, {hour_high / 1e6:.2f}]"
    )


def memory_available(run: RunData) -> float | None:
    """Return the host's available bytes as last read."""
    available = run.own.signal("memory_available_bytes") if run.own else None
    return float(available.y[-1]) if available is not None and len(available) else None


def _own_memory(run: RunData) -> list[tuple[str, Series]]:
    """Return the daemon's memory in the longest load phase; reachable bytes if there are enough."""
    longest = max(run.engines, key=lambda engine: engine.plan.load.duration_s).plan.load
    own = [] if run.own is None else [(signal, run.own.signal(signal)) for signal in OWN_SIGNALS]
    inside = [(signal, series.between(longest.start_s, longest.end_s)) for signal, series in own]
    return [(signal, series) for signal, series in inside if len(series) >= (MIN_SAMPLES if signal != PAGES else 1)]


def _null_check(run: RunData, checks: Mapping[str, Sequence[Check]]) -> Check | None:
    engine = next((e for e in run.engines if e.plan.config.kind == CONTROL), None)
    if engine is None:
        return None
    return next((c for c in checks[engine.name] if c.id == f"growth.{engine.leak_signal}"), None)
