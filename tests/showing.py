"""A run made up for what shows runs: a plan, records as workers send them, a verdict as the judge writes it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from soakd.live.status import RunStatus
from soakd.setup.config import parse
from soakd.setup.plan import Plan, make_plan
from soakd.wire import histogram
from soakd.wire.records import Incident, Kind, Record, Stamp, make_record
from tests.typed import typed

ORIGIN_S = 1000.0
"""CLOCK_MONOTONIC at the run's origin."""
WALL_S = 1_780_000_000.0
"""Wall time at the run's origin."""

CONFIG = """
[run]
name = "quick"
duration = "{duration}"
sample_every = "1s"
[limits]
growth_per_operation = "16B"
[[engine]]
name = "cache-rust"
kind = "cache.native"
rate = 2000
options = {{ capacity = 1000 }}
[[engine]]
name = "cache-python"
kind = "cache.python"
rate = 500
options = {{ capacity = 1000 }}
"""


def plan(duration: str = "3min") -> Plan:
    return make_plan(parse(CONFIG.format(duration=duration), source="quick.toml", folder=Path()))


def record(kind: Kind, engine: str, t_s: float, body: Mapping[str, Any], *, segment: int = 0) -> Record:
    """A record at so many seconds after the origin."""
    at = Stamp(WALL_S + t_s, 5000.0 + t_s, ORIGIN_S + t_s)
    return make_record(kind, engine=engine, segment=segment, at=at, body=body)


def origin() -> Record:
    return record("phase", "", 0.0, {"name": "origin", "mono_s": ORIGIN_S})


def hello(engine: str, t_s: float = -1.0, *, segment: int = 0) -> Record:
    return record("hello", engine, t_s, {"pid": 4242 + segment}, segment=segment)


def phase(engine: str, name: str, t_s: float, *, segment: int = 0) -> Record:
    return record("phase", engine, t_s, {"name": name, "start_s": t_s, "end_s": t_s + 60}, segment=segment)


def sample(engine: str, t_s: float, operations: int, *, segment: int = 0, **more: Any) -> Record:
    body = {
        "phase": "load", "operations_total": operations, "errors_total": 0, "dropped_total": 0, "skipped_total": 0,
        "live_python_bytes": 8_000_000, "live_native_bytes": 3_200_000, "probe.live_native.duration_s": 0.00025,
        "probe.live_native.failures_total": 0, **more,
    }  # fmt: skip
    return record("sample", engine, t_s, body, segment=segment)


def outside(engine: str, t_s: float, *, segment: int = 0, **more: Any) -> Record:
    body = {
        "source": "outside", "rss_bytes": 41_200_000, "rss_anon_bytes": 30_100_000, "rss_shmem_bytes": 0,
        "swap_bytes": 0, "fds": 12, "threads": 1, "cpu_s_total": round(t_s * 0.1, 3), **more,
    }  # fmt: skip
    return record("sample", engine, t_s, body, segment=segment)


def latency(engine: str, t_s: float, *, service_s: float = 12e-6, count: int = 1000, window: bool = False) -> Record:
    body = {
        "phase": "load", "window": window, "from_mono_s": ORIGIN_S + t_s - 4.5,
        "service": pack({service_s: count}), "response": pack({service_s * 10: count}), "lateness": pack({1e-3: count}),
    }  # fmt: skip
    return record("latency", engine, t_s, body)


def pack(counts: Mapping[float, int]) -> str:
    """A packed histogram of seconds -> count."""
    buckets = sorted((histogram.bucket_of(round(value_s * 1e9)), count) for value_s, count in counts.items())
    return histogram.pack(histogram.encode_sparse(buckets))


def incident(
    engine: str, what: str, t_s: float = 10.0, *, segment: int = 0, detail: str = "why", **more: Any
) -> Incident:
    made = record("incident", engine, t_s, {"what": what, "detail": detail, **more}, segment=segment)
    assert isinstance(made, Incident)
    return made


def server(engine: str, t_s: float = -2.0, *, kind: str = "redis", segment: int = 0, **more: Any) -> Record:
    body = {
        "server": kind, "version": "8.0.2", "pid": 777 + segment, "address": "unix:///run/r.sock", "backend": "private",
        "read_from": "proc", **more,
    }  # fmt: skip
    return record("server", engine, t_s, body, segment=segment)


def of_server(engine: str, t_s: float, *, kind: str = "redis", segment: int = 0, **more: Any) -> Record:
    body = {
        "source": "server", "server": kind, "rss_bytes": 14_200_000, "rss_anon_bytes": 5_100_000, "swap_bytes": 0,
        "fds": 9, "threads": 5, "cpu_s_total": round(t_s * 0.02, 3), "live_bytes": 1_900_000,
        "probe.server.duration_s": 0.0004, **more,
    }  # fmt: skip
    return record("sample", engine, t_s, body, segment=segment)


def growth(estimate: float, low: float, high: float, so_far: str, **more: Any) -> dict[str, Any]:
    return {
        "id": "growth.reachable_bytes", "verdict": "INCOMPLETE", "estimate": estimate, "low": low, "high": high,
        "limit": 16.0, "unit": "bytes/operation", "per_hour": estimate * 7.2e6, "minimum_detectable": 0.4,
        "samples": 45, "so_far": so_far, "method": "structural-average/1", **more,
    }  # fmt: skip


def verdict_so_far() -> dict[str, Any]:
    rss = {
        "id": "growth.resident_bytes", "verdict": "INCOMPLETE", "so_far": "INCONCLUSIVE", "estimate": 2.1e5,
        "low": -3.0e5, "high": 7.2e5, "limit": 1e6, "unit": "bytes/hour", "per_operation": 0.03,
        "minimum_detectable": 1.5e6, "time_to_limit_seconds": 432_000.0, "reason": "the limit lies inside the interval",
    }  # fmt: skip
    p95 = {"id": "latency.p95", "verdict": "PASS", "estimate": 3.1e-6, "limit": 0.5e-3, "unit": "seconds"}
    engines = [
        ("cache-rust", "cache.native", "subject", [growth(0.02, -0.11, 0.15, "PASS"), rss, p95]),
        ("cache-python", "cache.python", "rival", [growth(211.4, 209.8, 213.1, "FAIL")]),
        ("control-null", "control.null", "control", [growth(0.0, -0.1, 0.1, "PASS")]),
        ("control-leak", "control.leak", "control", [growth(31.9, 31.7, 32.1, "FAIL")]),
    ]
    return {
        "schema": "soakd.verdict/1", "run_id": "20260601-quick", "verdict": "INCOMPLETE",
        "summary": "62% of the plan seen",
        "engines": [
            {"name": name, "kind": kind, "role": role, "verdict": "INCOMPLETE", "class": "flat", "checks": checks}
            for name, kind, role, checks in engines
        ],
        "checks": [{"id": "evidence.controls", "verdict": "INCOMPLETE"}],
    }  # fmt: skip


def verdict_final() -> dict[str, Any]:
    verdict = verdict_so_far()
    for engine in verdict["engines"]:
        engine["verdict"] = "PASS"
        for check in engine["checks"]:
            check["verdict"] = check.pop("so_far", check["verdict"])
    verdict["checks"] = [
        {"id": "evidence.controls", "verdict": "PASS"},
        {"id": "evidence.clock", "verdict": "PASS", "estimate": 0.0, "limit": 0.0, "unit": "count"},
    ]
    return verdict | {
        "verdict": "PASS",
        "summary": "no leak, crash or breach of a limit in cache-rust over 3min",
        "visibility": [
            "cache-rust: a leak of 0.4 B per operation (2.88 MB/h at 2,000/s) or more would have been seen with 95 %",
            "not shown by 2min 15s of load: limits per hour (they need 2 h), growth per time rather than per operation",
        ],
    }


def status_in_load(*, until_s: int = 60) -> RunStatus:
    """A run that is `until_s` seconds old, in the load phase from the ninth on."""
    status = RunStatus(plan(), "20260601-quick")
    rates = {"cache-rust": 2000, "cache-python": 500, "control-null": 1000, "control-leak": 1000}
    status.fold([*(hello(name) for name in rates), origin()])
    status.fold([phase(name, "baseline", 0.0) for name in rates])
    status.fold([phase(name, "load", 9.0) for name in rates])
    for second in range(1, until_s + 1):
        for name, rate in rates.items():
            status.fold([sample(name, second, rate * max(0, second - 9)), outside(name, second)])
        status.fold([outside("", second, rss_bytes=38_000_000)])
    reachable = {"reachable_python_bytes": 7_000_000, "reachable_native_bytes": 3_000_000}
    status.fold([sample(name, until_s + 0.1, rate * (until_s - 9), **reachable) for name, rate in rates.items()])
    status.fold([latency(name, until_s) for name in rates])
    status.apply_verdict(typed(verdict_so_far()))
    return status
