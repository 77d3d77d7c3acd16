"""The run as a whole."""

import functools
import hashlib
import importlib.metadata
import platform
from typing import get_args

from soakd.live.metrics.family import Family, Values
from soakd.live.status import RunStatus
from soakd.wire.spec import PhaseName

BEFORE_THE_ORIGIN = "before every engine is ready"
PHASES: tuple[str, ...] = get_args(PhaseName)


@functools.cache
def _build() -> tuple[str, str]:
    try:
        version = importlib.metadata.version("soakd")
    except importlib.metadata.PackageNotFoundError:
        version = "unknown"
    return version, platform.python_version()


def _run(status: RunStatus, _: float) -> Values:
    config = status.plan.config
    return [((config.run.name, hashlib.sha256(config.text.encode()).hexdigest()), 1.0)]


def _phases(status: RunStatus, _: float) -> Values:
    now = status.phase
    return [] if now is None else [((phase,), float(phase == now)) for phase in PHASES]


FAMILIES = (
    Family(
        "soakd_build_info", "info", ("version", "python"), "The running version of soakd", "never",
        lambda *_: [(_build(), 1.0)], run_label=False,
    ),
    Family("soakd_run_info", "info", ("name", "config_sha256"), "The run", "never", _run),
    Family(
        "soakd_run_start_timestamp_seconds", "gauge", (), "When every engine was ready", BEFORE_THE_ORIGIN,
        lambda status, _: [((), status.origin_wall_s)],
    ),
    Family(
        "soakd_run_elapsed_seconds", "gauge", (), "Time since the start", BEFORE_THE_ORIGIN,
        lambda status, now_s: [((), status.elapsed_s(now_s))],
    ),
    Family(
        "soakd_run_planned_seconds", "gauge", (), "Length of the plan", "never",
        lambda status, _: [((), status.plan.duration_s)],
    ),
    Family(
        "soakd_run_phase", "gauge", ("phase",), "1 for the phase that most engines are in",
        "before the first engine is in one", _phases,
    ),
    Family(
        "soakd_run_sample_period_seconds", "gauge", (), "How often engines are sampled", "never",
        lambda status, _: [((), status.plan.config.run.sample_every_s)],
    ),
    Family(
        "soakd_sample_coverage_ratio", "gauge", (), "Share of the samples due so far that were received",
        "before the first sample is due", lambda status, now_s: [((), status.coverage_ratio(now_s))],
    ),
    Family(
        "soakd_last_sample_timestamp_seconds", "gauge", (), "When the last sample of an engine was taken",
        "before the first sample", lambda status, _: [((), status.last_sample_wall_s)],
    ),
)  # fmt: skip
