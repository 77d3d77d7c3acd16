"""The state that is sent to pages: few numbers per engine, so that it can be sent often."""

from typing import Any

from soakd.live.status import EngineStatus, RunStatus

BRIEF = (
    "rss_bytes", "resident_bytes", "rss_anon_bytes", "reachable_bytes", "live_bytes", "live_python_bytes",
    "live_native_bytes", "rust_bytes", "pss_bytes", "uss_bytes", "swap_bytes", "fds", "threads", "tasks",
)  # fmt: skip
OF_OWN = (
    "rss_bytes", "rss_anon_bytes", "fds", "threads", "run_bytes", "disk_free_bytes", "memory_available_bytes",
    "host_cpu_pressure_ratio", "host_memory_pressure_ratio", "host_io_pressure_ratio", "host_others_ratio",
)  # fmt: skip
MOST_COUNTERS = 12


def state_of_run(status: RunStatus, now_s: float) -> dict[str, Any]:
    """Return the state of a run as JSON types; `now_s` is CLOCK_MONOTONIC seconds."""
    elapsed_s = status.elapsed_s(now_s)
    return {
        "run": status.run_id, "phase": status.phase, "state": status.state, "state_so_far": status.state_so_far,
        "summary": status.summary, "elapsed_s": elapsed_s, "remaining_s": status.remaining_s(now_s),
        "ended_for": status.ended_for,
        "coverage_ratio": status.coverage_ratio(now_s), "last_sample_wall_s": status.last_sample_wall_s,
        "incidents_total": status.timeline.total, "verdicts": status.verdicts,
        "own": {name: status.own[name] for name in OF_OWN if name in status.own},
        "own_cpu_cores": _last(status, "cpu_cores"),
        "engines": {name: _state_of(engine) for name, engine in status.engines.items()},
    }  # fmt: skip


def _state_of(engine: EngineStatus) -> dict[str, Any]:
    counters = {name[8:]: value for name, value in engine.latest.items() if name.startswith("counter.")}
    own = {name[8:]: int(chained.total) for name, chained in engine.counters.items() if name.startswith("counter.")}
    server = engine.server
    return {
        "up": engine.up, "ended_by": engine.ended_by, "phase": engine.phase, "pid": engine.pid,
        "segment": engine.segment, "restarts": engine.restarts, "state_so_far": engine.state_so_far,
        "rate_per_s": engine.rate_per_s, "operations": engine.operations, "latency": engine.latency,
        "latest": {name: engine.latest[name] for name in BRIEF if name in engine.latest},
        "counters": dict(list({**counters, **own}.items())[:MOST_COUNTERS]),
        "cpu_s_total": engine.counters["cpu_s_total"].total if "cpu_s_total" in engine.counters else None,
        "sites": len(engine.sites),
        "server": None if server is None else {
            "server": server.kind, "up": server.up, "pid": server.pid, "restarts": server.restarts,
            "rss_bytes": server.latest.get("rss_bytes"), "live_bytes": server.latest.get("live_bytes"),
        },
    }  # fmt: skip


def _last(status: RunStatus, signal: str) -> float | None:
    found = status.own_history.recent(signal, 1).last
    return found[-1] if found else None
