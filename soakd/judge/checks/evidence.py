"""Checks that there is enough evidence, and that the instrument works. Missing evidence is never a PASS."""

from collections.abc import Iterator, Mapping

import numpy as np

from soakd.judge.checks.evidence_lives import check_lives
from soakd.judge.checks.evidence_records import dropped_by_worker
from soakd.judge.checks.outlook import Outlook
from soakd.judge.growth.series import FloatArray, longest_gap_s
from soakd.judge.story.rundata import EngineData
from soakd.verdict.check import Check, round_number
from soakd.verdict.details import EvidenceDetail
from soakd.wire.records import PROBE_DIED

LEAST_COVERAGE = 0.95
LONGEST_PROBE_GAP = 0.20
"""A probe counts as dead after this share of the load phase without a reading of a deciding signal."""
LONGEST_PROBE_GAP_IN_A_SHORT_RUN = 0.40
SNAPSHOT_TAKES_S = 15.0
TOTALS = ("operations_total", "errors_total", "dropped_total", "skipped_total")
READ_OF_A_CONTROL = 2
"""A control tests the instrument with its leak signal and its operations, the first two that decide."""
LATENCY = "latency"


def check_evidence(data: EngineData, outlook: Outlook) -> Iterator[Check]:
    """Judge the evidence of one engine: coverage of its samples, the probes that decide, its processes."""
    yield _coverage(data, outlook)
    yield _probe(data, outlook)
    yield check_lives(data, outlook)


def _coverage(data: EngineData, outlook: Outlook) -> Check:
    """Judge the share of the load phase's samples that were received, the lesser of inside and outside readings."""
    load, end_s = data.plan.load, min(data.plan.load.end_s, outlook.seen_s)
    expected = max(1.0, (end_s - load.start_s - _away_s(data)) / data.plan.sample_every_s)
    counts = [_moments(data, signal) for signal in ("operations_total", "rss_anon_bytes")]
    ratio = min(1.0, min(counts) / expected)
    dropped = dropped_by_worker(data)
    gap_s = longest_gap_s(_bridged(data, data.in_load("operations_total").t_s), load.start_s, end_s)
    reasons = [] if ratio >= LEAST_COVERAGE else [f"{min(counts)} of {expected:.0f} samples; longest gap {gap_s:.0f}s"]
    if dropped:
        reasons.append(f"{dropped} records were dropped: the pipe to soakd was full")
    too_many = dropped > (1.0 - LEAST_COVERAGE) * (expected + dropped)
    return Check(
        id="evidence.coverage", verdict="INVALID" if ratio < LEAST_COVERAGE or too_many else "PASS",
        estimate=round_number(ratio, 4), limit=LEAST_COVERAGE, unit="ratio", reason="; ".join(reasons),
        evidence=EvidenceDetail(longest_gap_seconds=round_number(gap_s, 4), dropped_records=dropped or None),
    )  # fmt: skip


def _away_s(data: EngineData) -> float:
    """Return how long the process was down, or stopped, on purpose."""
    return sum(until_s - from_s for from_s, until_s in data.fault_windows("worker"))


def _moments(data: EngineData, signal: str) -> int:
    """Count readings at distinct times: two of one time do not replace a missing one."""
    return len(np.unique(np.floor(4.0 * data.in_load(signal).t_s / data.plan.sample_every_s)))


def _probe(data: EngineData, outlook: Outlook) -> Check:
    """Judge the longest silence of a deciding signal; the worst one is the estimate."""
    load = data.plan.load
    gaps = {signal: _gap(data, signal, outlook) for signal in _deciding(data)}
    # A snapshot child delays the others for seconds on a busy host: not a failure, but a large part of a short run.
    allowed = min(LONGEST_PROBE_GAP_IN_A_SHORT_RUN, max(LONGEST_PROBE_GAP, SNAPSHOT_TAKES_S / load.duration_s))
    dead = [signal for signal, gap in gaps.items() if gap > allowed]
    failures = _failures(data)
    reasons = [_silence(data, signal, gaps[signal]) for signal in dead]
    deaths = _deaths(data)
    reasons += [
        f"readings of {probe} failed {count:.0f} times{deaths.get(probe, '')}" for probe, count in failures.items()
    ]
    return Check(
        id="evidence.probe", verdict="INVALID" if dead and outlook.seen_s > load.start_s else "PASS",
        estimate=round_number(max(gaps.values()), 4), limit=round_number(allowed, 4), unit="ratio",
        reason="; ".join(reasons),
        samples=len(data.in_load(data.leak_signal)),
        evidence=EvidenceDetail(failed_readings=failures) if failures else None,
    )  # fmt: skip


def _deciding(data: EngineData) -> tuple[str, ...]:
    """Return the signals that are required to pass; one that an engine never had, such as tasks, is not missed."""
    limits = data.plan.config.limits
    judges_latency = limits.latency_p95_s is not None or limits.response_p99_s is not None
    needed = (
        data.leak_signal, *TOTALS, data.host_signal, "fds", "threads", "cpu_s_total",
        *(["tasks"] if len(data.signal("tasks")) else []), *([LATENCY] if judges_latency else []),
    )  # fmt: skip
    return needed[:READ_OF_A_CONTROL] if data.plan.config.role == "control" else needed


def _gap(data: EngineData, signal: str, outlook: Outlook) -> float:
    """Return the longest silence of a signal as a share of the load phase; 1 if it was never read in it."""
    load, readings = data.plan.load, _read_at(data, signal)
    if not len(readings) and outlook.final:
        return 1.0
    return longest_gap_s(_bridged(data, readings), load.start_s, min(load.end_s, outlook.seen_s)) / load.duration_s


def _bridged(data: EngineData, t_s: FloatArray) -> FloatArray:
    """Add times during which a fault on purpose made readings impossible."""
    bridges = [np.arange(from_s, until_s, data.plan.sample_every_s) for from_s, until_s in data.fault_windows("worker")]
    return np.sort(np.concatenate([t_s, *bridges])) if bridges else t_s


def _read_at(data: EngineData, signal: str) -> FloatArray:
    """Return when a signal was read in the load phase; no times if it never was above 0."""
    if signal == LATENCY:
        return np.array(sorted(window.to_s for window in data.latency if window.phase == "load"))
    series = data.in_load(signal)
    is_level = signal in (data.leak_signal, data.host_signal, "fds", "threads")
    return series.t_s[:0] if is_level and not np.any(series.y > 0.0) else series.t_s


def _silence(data: EngineData, signal: str, gap: float) -> str:
    if not len(_read_at(data, signal)):
        only_zero = signal != LATENCY and len(data.in_load(signal))
        return f"{signal} was never above 0" if only_zero else f"{signal} was never read"
    return f"{signal} was silent for {gap:.0%} of the load phase"


def _deaths(data: EngineData) -> Mapping[str, str]:
    """Return how the forked children of each probe crashed, as text to append."""
    died = [i for i in data.incidents if i.what == PROBE_DIED]
    return {str(i.probe): f" ({i.detail})" for i in died if i.detail}


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
