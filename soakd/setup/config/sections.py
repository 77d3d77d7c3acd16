"""Readers for the tables that configure the run and its limits, one function each."""

import re

from soakd import units
from soakd.setup.settings import CONTROLS, Attribution, Http, Limits, Retention, Schedule, Supervision
from soakd.setup.toml import Table

LONGEST_RUN_S = 366 * 86400.0
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


def read_run(table: Table, stem: str) -> Schedule:
    """Read `[run]`."""
    run = Schedule(
        name=table.text("name", stem) or stem,
        duration_s=table.quantity("duration", units.parse_duration, None, most=LONGEST_RUN_S),
        operations=table.whole("operations", None, least=1),
        sample_every_s=table.quantity("sample_every", units.parse_duration, 10.0, least=0.01),
        collect_every_s=table.quantity_or_off("collect_every", units.parse_duration, 60.0),
        snapshot_every_s=table.quantity_or_off("snapshot_every", units.parse_duration, 300.0),
        seed=table.whole("seed", 1),
        controls_off=table.words("controls_off", tuple(CONTROLS)),
        longest_gap_s=table.quantity("longest_gap", units.parse_duration, None, most=LONGEST_RUN_S),
        disk_budget_bytes=_or_never(table.quantity_or_off("disk_budget", units.parse_size, -1.0)),
        memory_reserve_bytes=_or_never(table.quantity_or_off("memory_reserve", units.parse_size, -1.0)),
    )
    if table.is_sound("duration", "operations") and (run.duration_s is None) == (run.operations is None):
        both = run.duration_s is not None
        (table.report if both else table.require)("duration", 'give either duration = "24h" or operations = 100_000')
    if not NAME.fullmatch(run.name):
        table.report("name", "must be letters, digits, dots, dashes and underscores", run.name)
    table.finish()
    return run


def _or_never(reserve: float | None) -> float | None:
    """Read "off" as 0 and nothing as None."""
    return 0.0 if reserve is None else None if reserve < 0 else reserve


def read_limits(table: Table, base: Limits) -> Limits:
    """Read a table of limits; missing keys have the values of `base`."""
    rate = table.quantity_or_off("growth_rate", units.parse_growth_rate, -1.0)
    per_operation = table.quantity_or_off("growth_per_operation", units.parse_size, -1.0)
    named = rate != -1.0 or per_operation != -1.0
    # If a table sets any growth limit, only the limits that it sets are judged.
    growth = {
        "growth_rate_bytes_per_h": (None if rate == -1.0 else rate) if named else base.growth_rate_bytes_per_h,
        "growth_per_operation_bytes": (
            (None if per_operation == -1.0 else per_operation) if named else base.growth_per_operation_bytes
        ),
    }
    limits = Limits(
        **growth,
        total_growth_bytes=table.quantity_or_off("total_growth", units.parse_size, base.total_growth_bytes),
        return_to_baseline_bytes=table.quantity_or_off(
            "return_to_baseline", units.parse_size, base.return_to_baseline_bytes
        ),
        error_ratio=table.number("error_ratio", base.error_ratio, least=0, most=1),
        latency_p95_s=table.quantity_or_off("latency_p95", units.parse_duration, base.latency_p95_s),
        latency_drift_ratio=table.number("latency_drift_ratio", base.latency_drift_ratio, above=0),
        response_p99_s=table.quantity_or_off("response_p99", units.parse_duration, base.response_p99_s),
        cpu_ratio=table.number("cpu_ratio", base.cpu_ratio, above=0),
        achieved_ratio=table.number("achieved_ratio", base.achieved_ratio, least=0, most=1),
        fd_growth=table.number("fd_growth", base.fd_growth, above=0),
        thread_growth=table.number("thread_growth", base.thread_growth, above=0),
        task_growth=table.number("task_growth", base.task_growth, above=0),
        child_growth=table.number("child_growth", base.child_growth, above=0),
        restarts=table.whole("restarts", base.restarts),
        recovery_s=table.quantity("recovery", units.parse_duration, base.recovery_s),
    )
    table.finish()
    return limits


def read_supervision(table: Table) -> Supervision:
    """Read `[supervision]`."""
    base = Supervision()
    supervision = Supervision(
        max_restarts=table.whole("max_restarts", base.max_restarts, most=10_000),
        restart_backoff_s=table.quantity("restart_backoff", units.parse_duration, base.restart_backoff_s),
        hang_after_s=table.quantity("hang_after", units.parse_duration, base.hang_after_s),
        start_within_s=table.quantity("start_within", units.parse_duration, base.start_within_s),
        healthy_after_s=table.quantity("healthy_after", units.parse_duration, base.healthy_after_s),
    )
    table.finish()
    return supervision


def read_http(table: Table) -> Http:
    """Read `[http]`."""
    base = Http()
    http = Http(
        host=table.text("host", base.host) or "", port=table.whole("port", base.port, most=65535),
        hosts=table.texts("hosts"), private=table.truth("private", base.private),
    )  # fmt: skip
    for name in http.hosts:
        if not re.fullmatch(r"[A-Za-z0-9._:-]{1,253}", name) or name.count(":") == 1:
            table.report("hosts", "must be names or addresses, without scheme and port", name)
    table.finish()
    return http


def read_attribution(table: Table) -> Attribution:
    """Read `[attribution]`."""
    base = Attribution()
    attribution = Attribution(
        enabled=table.truth("enabled", base.enabled), per_hour=table.whole("per_hour", base.per_hour, most=1000)
    )
    table.finish()
    return attribution


def read_retention(table: Table) -> Retention:
    """Read `[retention]`."""
    retention = Retention(
        runs=table.whole("runs", None, least=1),
        age_s=table.quantity("age", units.parse_duration, None),
        size_bytes=table.quantity("size", units.parse_size, None),
    )
    table.finish()
    return retention
