"""The engines, their processes, and the probes that read them."""

from collections.abc import Callable, Mapping

from soakd.live.metrics.family import Family, Type, Value, Values
from soakd.live.status import OWN_COUNTERS, EngineStatus, RunStatus

PROBES = (
    "outside", "live_python", "live_native", "python_blocks", "gc", "tasks", "counters", "rust", "fork", "reachable",
    "snapshot", "server", "tree", "holdings",
)  # fmt: skip
"""Probes that are exported by name: a fixed set, whatever a sample contains."""
NOT_ALIVE = "while the process is not alive, or before its first reading"
NOT_COUNTED = "before the first sample"


def _engine(name: str, kind: Type, meaning: str, absent: str, value_of: Callable[[EngineStatus], Value]) -> Family:
    """Make a family with one series per engine."""
    return Family(
        name, kind, ("engine",), meaning, absent,
        lambda status, _: [((engine.name,), value_of(engine)) for engine in status.engines.values()],
    )  # fmt: skip


def _process(name: str, signal: str, meaning: str, absent: str = NOT_ALIVE) -> Family:
    return _engine(name, "gauge", meaning, absent, lambda engine: _signal(engine, signal))


def _counter(name: str, counter: str, meaning: str, absent: str) -> Family:
    def total(engine: EngineStatus) -> float | None:
        return engine.counters[counter].total if counter in engine.counters else None

    return _engine(name, "counter", meaning, absent, total)


def _live(status: RunStatus, _: float) -> Values:
    for engine in status.engines.values():
        for part in ("python", "native"):
            yield (engine.name, part), _signal(engine, f"live_{part}_bytes")


def _signal(engine: EngineStatus, signal: str) -> float | None:
    return engine.latest.get(signal) if engine.up else None


def _failures(engine: EngineStatus, probe: str) -> float | None:
    """Return how often a probe failed; 0 for one that was read and never reported a failure."""
    if probe in engine.probe_failures:
        return engine.probe_failures[probe].total
    return 0.0 if probe in engine.probe_durations_s else None


OWN_WORDS = {
    "retries_total": "Attempts that the engine repeated",
    "timeouts_total": "Attempts that ended by the engine's own time limit",
    "connection_errors_total": "Attempts that ended with a broken connection, or none",
    "reloads_total": "Policies that were reloaded during operation",
    "served_by_other_total": "Operations that the other path served because the chosen one was down",
    "compared_total": "Operations decided on both paths and compared",
    "disagreements_total": "Compared operations on which the paths disagreed",
}

LIMITS: Mapping[str, tuple[str, str]] = {
    "growth_rate": ("growth_rate_bytes_per_h", "bytes/second"),
    "growth_per_operation": ("growth_per_operation_bytes", "bytes/operation"),
    "total_growth": ("total_growth_bytes", "bytes"),
    "return_to_baseline": ("return_to_baseline_bytes", "bytes"),
    "error_ratio": ("error_ratio", "ratio"),
    "latency_p95": ("latency_p95_s", "seconds"),
    "response_p99": ("response_p99_s", "seconds"),
    "cpu_ratio": ("cpu_ratio", "cores"),
    "achieved_ratio": ("achieved_ratio", "ratio"),
    "restarts": ("restarts", "count"),
    "recovery": ("recovery_s", "seconds"),
}
"""Key in [limits] -> the setting, and the base unit of its export."""


def _info(status: RunStatus, _: float) -> Values:
    configs = (engine.config for engine in status.plan.engines)
    return [((c.name, c.kind, c.role, c.twin_of or "", c.profile), 1.0) for c in configs]


def _limits(status: RunStatus, _: float) -> Values:
    for engine in status.plan.engines:
        for limit, (setting, unit) in LIMITS.items():
            value: float | None = getattr(engine.config.limits, setting)
            per_second = 3600.0 if unit == "bytes/second" else 1.0
            yield (engine.config.name, limit), None if value is None else value / per_second


FAMILIES = (
    Family(
        "soakd_engine_info", "info", ("engine", "kind", "role", "twin_of", "profile"), "The engine", "never", _info,
    ),
    Family(
        "soakd_engine_limit", "gauge", ("engine", "limit"), "What the configuration allows, in the limit's own unit",
        "if the limit is off", _limits,
    ),
    _engine("soakd_engine_up", "gauge", "1 while the engine's process is alive", "never", lambda e: float(e.up)),
    _engine(
        "soakd_engine_planned_operations_per_second", "gauge", "Configured rate", "never", lambda e: e.target_per_s
    ),
    _process("soakd_engine_resident_memory_bytes", "rss_bytes", "Resident memory of the engine's process"),
    _process("soakd_engine_resident_anonymous_memory_bytes", "rss_anon_bytes", "Anonymous part of resident memory"),
    _process("soakd_engine_swap_bytes", "swap_bytes", "Swapped memory of the engine's process"),
    _process("soakd_engine_shared_memory_bytes", "rss_shmem_bytes", "Shared part of resident memory: memfd, tmpfs"),
    _process("soakd_engine_host_memory_bytes", "resident_bytes", "Anonymous, swapped and shared memory"),
    _process(
        "soakd_engine_proportional_memory_bytes", "pss_bytes", "Resident memory, shared pages divided by their users",
        f"{NOT_ALIVE}, which comes with the first snapshot",
    ),
    _process(
        "soakd_engine_reachable_bytes", "reachable_bytes", "Live bytes that a full collection would leave",
        f'{NOT_ALIVE}; with `collect_every = "off"`',
    ),
    _process(
        "soakd_engine_rust_bytes", "rust_bytes", "Bytes allocated by soakd's own Rust code, part of native live bytes",
        f"{NOT_ALIVE}; if the extension is not loaded",
    ),
    _process("soakd_engine_open_fds", "fds", "Open file descriptors of the engine's process"),
    _process("soakd_engine_threads", "threads", "Threads of the engine's process"),
    _process("soakd_engine_tasks", "tasks", "asyncio tasks in the engine's process", f"{NOT_ALIVE}; without a loop"),
    Family(
        "soakd_engine_live_bytes", "gauge", ("engine", "part"), "Bytes in allocated blocks: python, native",
        f"{NOT_ALIVE}; a part that this process cannot read", _live,
    ),
    _engine(
        "soakd_engine_lateness_seconds", "gauge",
        "99th percentile of the last window: how late operations started",
        "while the process is not alive, or before its first window has ended",
        lambda e: e.latency.get("lateness_p99_s") if e.up else None,
    ),
    _engine(
        "soakd_engine_service_seconds", "histogram", "From the start of an operation to its end",
        "before the first window has ended; windows with a forked child are left out", lambda e: e.service,
    ),
    _engine(
        "soakd_engine_response_seconds", "histogram", "From the scheduled start of an operation to its end",
        "as soakd_engine_service_seconds", lambda e: e.response,
    ),
    Family(
        "soakd_engine_operations_total", "counter", ("engine", "outcome"),
        "Operations by outcome: ok, error, dropped (no room for it), skipped (its time had passed)", NOT_COUNTED,
        lambda status, _: [
            ((e.name, outcome), count) for e in status.engines.values() for outcome, count in e.operations.items()
        ],
    ),
    _counter(
        "soakd_engine_cpu_seconds_total", "cpu_s_total", "Processor time of the engine's processes", NOT_COUNTED
    ),
    *(
        _counter(
            f"soakd_engine_{name}", f"counter.{name}", OWN_WORDS[name], "if the engine does not count it"
        )
        for name in OWN_COUNTERS
    ),
    _engine(
        "soakd_engine_restarts_total", "counter", "Restarts of the engine's process", "never", lambda e: e.restarts
    ),
    Family(
        "soakd_probe_duration_seconds", "gauge", ("engine", "probe"), "Last known duration of a probe",
        "before its first reading; if the engine has no such probe",
        lambda status, _: [
            ((e.name, probe), e.probe_durations_s.get(probe)) for e in status.engines.values() for probe in PROBES
        ],
    ),
    Family(
        "soakd_probe_failures_total", "counter", ("engine", "probe"), "Readings that failed",
        "as soakd_probe_duration_seconds",
        lambda status, _: [((e.name, probe), _failures(e, probe)) for e in status.engines.values() for probe in PROBES],
    ),
)  # fmt: skip
