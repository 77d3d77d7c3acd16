"""An engine's server, judged as a separate process: growth, evidence, crashes.

It decides with the engine's option `judge_server`; otherwise its checks are informational.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from soakd.judge.checks.cache_growth import judge_beside_cache
from soakd.judge.checks.evidence import LEAST_COVERAGE, LONGEST_PROBE_GAP
from soakd.judge.checks.growth import hourly_answer, operation_answer
from soakd.judge.checks.outlook import Outlook
from soakd.judge.story.rundata import EngineData, Series, ServerData
from soakd.judge.story.servers import UNTOLD
from soakd.verdict.check import Check, round_number
from soakd.verdict.details import EvidenceDetail
from soakd.wire.records import SERVER_GONE

RESOLUTION_BYTES: Mapping[str, float] = {"rss_anon_bytes": 4e6, "live_bytes": 256e3}
"""Growth over the load phase below which a FAIL is not believed."""
COARSE: Mapping[str, float] = {"opa": 1e6}
"""OPA's live bytes, half of the next collection's mark, vary by a tenth between collections."""
PREFIX = "growth.server_"


def check_server(data: EngineData, outlook: Outlook) -> Iterator[Check]:
    """Judge the server of an engine; nothing if there is none.

    Args:
        data: the engine.
        outlook: how much of the plan is complete.
    """
    decides = data.plan.config.judges_server
    if data.server is None:
        if decides:
            yield Check(id="evidence.server", verdict="INVALID", reason="nothing was recorded of the server")
        return
    for signal in RESOLUTION_BYTES:
        series = data.outside_faults(data.server_in_load(signal))
        if len(data.server.signal(signal)) or signal == needed(data.server):
            yield from _growth(data, data.server, signal, series, decides=decides)
    yield _stability(data, data.server, decides=decides)
    yield _evidence(data, data.server, outlook, decides=decides)


def needed(server: ServerData) -> str:
    """Return the signal that is required to judge a server, which depends on how it is read."""
    return "live_bytes" if server.read_from == "metrics" else "rss_anon_bytes"


def _growth(data: EngineData, server: ServerData, signal: str, series: Series, *, decides: bool) -> Iterator[Check]:
    """Judge growth per hour and per operation of the client, life by life; a Redis may be filling."""
    limits = data.plan.config.limits
    hourly, per_operation = limits.growth_rate_bytes_per_h, limits.growth_per_operation_bytes
    resolution = COARSE.get(server.kind, 0.0) if signal == "live_bytes" else 0.0
    resolution = max(resolution, RESOLUTION_BYTES[signal])
    if hourly is not None:

        def over_time(part: Series) -> Check:
            return hourly_answer(data, part, hourly, resolution).check(f"{PREFIX}{signal}", decides=decides)

        yield judge_beside_cache(data, series, over_time, of_server=True)
    if per_operation is not None:
        check_id = f"{PREFIX}{signal}" + ("" if hourly is None else ".per_operation")

        def over_operations(part: Series) -> Check:
            return operation_answer(data, part, per_operation, resolution).check(check_id, decides=decides)

        yield judge_beside_cache(data, series, over_operations, of_server=True)


def _stability(data: EngineData, server: ServerData, *, decides: bool) -> Check:
    """Judge crashes, hangs and failed starts, except those on purpose, against the engine's own limit."""
    ends = [i for i in data.incidents if i.what in SERVER_GONE and i.fault is None]
    gave_up = any(outage.gave_up for outage in server.outages)
    limit = data.plan.config.limits.restarts
    said = [i.detail or i.what for i in ends[:3]]
    reasons = [*dict.fromkeys(said), *(["soakd gave the server up"] if gave_up else [])]
    return Check(
        id="stability.server", verdict="FAIL" if gave_up or len(ends) > limit else "PASS", informational=not decides,
        estimate=float(len(ends)), limit=float(limit), unit="count", reason="; ".join(reasons),
    )  # fmt: skip


def _evidence(data: EngineData, server: ServerData, outlook: Outlook, *, decides: bool) -> Check:
    """Judge the samples received while the server was up, the longest silence, and lives without beginning or end."""
    load, end_s = data.plan.load, min(data.plan.load.end_s, outlook.seen_s)
    signals = [s for s in RESOLUTION_BYTES if len(server.signal(s)) or s == needed(server)]
    expected = max(1.0, (end_s - load.start_s - _away_s(server, load.start_s, end_s)) / data.plan.sample_every_s)
    ratios = {signal: min(1.0, len(data.server_in_load(signal)) / expected) for signal in signals}
    gaps_s = {signal: data.server_in_load(signal).longest_gap_s(load.start_s, end_s) for signal in signals}
    reasons = []
    for signal in signals:
        if ratios[signal] < LEAST_COVERAGE or gaps_s[signal] > LONGEST_PROBE_GAP * load.duration_s:
            got = len(data.server_in_load(signal))
            reasons.append(f"{signal}: {got} of {expected:.0f} samples; longest gap {gaps_s[signal]:.0f}s")
    reasons += _untold(server)
    return Check(
        id="evidence.server", verdict="INVALID" if reasons and outlook.seen_s > load.start_s else "PASS",
        informational=not decides, estimate=round_number(min(ratios.values()), 4), limit=LEAST_COVERAGE, unit="ratio",
        reason="; ".join(reasons), evidence=EvidenceDetail(longest_gap_seconds=round_number(max(gaps_s.values()), 4)),
    )  # fmt: skip


def _away_s(server: ServerData, start_s: float, end_s: float) -> float:
    """Return how long the server was down between two times, as far as it came back."""
    away_s = 0.0
    for outage in server.outages:
        if outage.recovered_s is not None:
            away_s += max(0.0, min(outage.recovered_s, end_s) - max(outage.gone_s, start_s))
    return away_s


def _untold(server: ServerData) -> list[str]:
    """Return lives without a recorded end, and samples of lives without a recorded beginning."""
    ended = [f"life {life.segment} ended and no incident says why" for life in server.lives if life.ended_by == UNTOLD]
    begun = {life.segment for life in server.lives}
    sampled = {int(life) for series in server.series.values() for life in np.unique(series.segment)}
    return ended + [f"samples of life {life}, whose begin was not recorded" for life in sorted(sampled - begun)]
