"""A configuration as values in base units: seconds, bytes, bytes per hour, ratios."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from soakd.wire.spec import DECIDING_ROLES, Role

MIXES = ("standard", "read-heavy", "write-heavy", "cache-miss", "complex")
PROFILES = ("baseline", "target", "stress", "extreme", "spike", "step")
FAULT_KINDS = ("kill", "stop", "restart", "latency", "blackhole", "reset", "refuse", "reload-policy")
FAULT_PLACES = ("server", "network", "worker")
EVENTS = ("verdict", "incident", "end")
"""The kinds of notifications."""
CONTROLS = {"null": "control.null", "leak": "control.leak"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The length of a run, and how often it is sampled."""

    name: str
    duration_s: float | None = None
    """Length of the whole run; None if `operations` is set."""
    operations: int | None = None
    """Operations per engine in the load phase; None if the duration is set."""
    sample_every_s: float = 10.0
    collect_every_s: float | None = 60.0
    """Interval of reachable bytes, which are read in a forked child; None for no forks."""
    snapshot_every_s: float | None = 300.0
    """Interval of heap snapshots, which take a forked child some seconds; a memory sample takes microseconds."""
    seed: int = 1
    controls_off: tuple[str, ...] = ()
    memory_reserve_bytes: float | None = None
    """The run ends in order when the host has less memory available; None for the default, 0 for never."""
    disk_budget_bytes: float | None = None
    """The run ends in order when its folder is larger; None for the default, 0 for no bound."""
    longest_gap_s: float | None = None
    """A run that was interrupted for longer is not resumed; None for the default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of an engine. None means not judged."""

    growth_rate_bytes_per_h: float | None = 1e6
    growth_per_operation_bytes: float | None = None
    total_growth_bytes: float | None = 100e6
    return_to_baseline_bytes: float | None = 10e6
    error_ratio: float = 0.01
    latency_p95_s: float | None = None
    latency_drift_ratio: float = 0.10
    response_p99_s: float | None = None
    cpu_ratio: float = 0.80
    achieved_ratio: float = 0.99
    fd_growth: float = 8.0
    """Growth in file descriptors over the load phase."""
    thread_growth: float = 8.0
    task_growth: float = 64.0
    child_growth: float = 8.0
    """Child processes gained over the load phase, and zombies."""
    restarts: int = 0
    """Restarts of the engine's process that are allowed; each is still an incident."""
    recovery_s: float = 5.0
    """Time from a server's exit until it answers again, and from then until operations succeed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineConfig:
    """One engine's table, with the run's defaults filled in."""

    name: str
    kind: str
    role: Role
    rate_per_s: float | None = None
    profile: str = "target"
    mix: str = "standard"
    in_flight: int = 512
    factory: str | None = None
    path: tuple[str, ...] = ()
    python: str | None = None
    twin_of: str | None = None
    collect_every_s: float | None = None
    """The engine's own interval; see `forks`."""
    forks: bool = True
    """False for `collect_every = "off"`: nothing is forked from its process."""
    options: Mapping[str, Any] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)

    @property
    def judges_server(self) -> bool:
        """Whether its server decides, whatever its role; a user's factory may have an option of the same name."""
        return self.factory is None and self.role != "control" and self.options.get("judge_server") is True

    @property
    def is_judged(self) -> bool:
        """Whether any of its checks decide the verdict of a run."""
        return self.role in DECIDING_ROLES or self.judges_server


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultConfig:
    """One `[[fault]]` table: what is broken, where, and when. Times are seconds since the load began."""

    name: str
    kind: str
    target: str
    on: str
    at_s: tuple[float, ...] = ()
    """The times of the fault; empty if they are drawn from `every_s`."""
    every_s: float | None = None
    jitter_s: float = 0.0
    """Each time is drawn from this long before to this long after its turn."""
    count: int | None = None
    duration_s: float = 0.0
    latency_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """One known leak, as listed in `waivers.toml`."""

    name: str
    reason: str
    expires: str
    """The last day on which it applies, RFC 3339, UTC."""
    fingerprint: str | None = None
    """The fingerprint of the site; if None, `engine` and `checks` name the known growth."""
    engine: str | None = None
    """With a fingerprint: only in this engine."""
    checks: tuple[str, ...] = ()
    package: str | None = None
    versions: str | None = None
    """The releases of `package`, in the engine's environment, to which it applies: a range such as ">=1.2,<1.3"."""
    at_most: float | None = None
    """The most growth that it covers, in `at_most_unit`; None for what is measured at the site."""
    at_most_unit: str | None = None
    """bytes/hour, bytes/operation, bytes or count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Supervision:
    """When a worker is killed, restarted or given up."""

    max_restarts: int = 3
    restart_backoff_s: float = 1.0
    hang_after_s: float = 30.0
    """A worker without progress for this long hangs."""
    start_within_s: float = 60.0
    healthy_after_s: float = 3600.0
    """After a life of this length, earlier restarts no longer count towards limit and pauses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """Whether to look for a leak's call site, and how often."""

    enabled: bool = True
    per_hour: int = 12
    """The most deep looks per hour on the whole host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """Which finished runs of the same name are kept in the folder of runs; None means no bound."""

    runs: int | None = None
    """Keep this many of the newest."""
    age_s: float | None = None
    """Keep those that ended within this many seconds."""
    size_bytes: float | None = None
    """Keep as many of the newest as fit beside the unfinished ones, and at least the newest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Http:
    """Where the status page and `/metrics` are served."""

    host: str = "127.0.0.1"
    port: int = 0
    """0 for any free port, which is printed at the start."""
    hosts: tuple[str, ...] = ()
    """Host names that requests may use, besides loopback and the listening address."""
    private: bool = False
    """Whether the page and `/api/v1` need the run's token; `/metrics` and `/healthz` never do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notify:
    """The recipients of events, besides the log."""

    command: tuple[str, ...] = ()
    """A program and its arguments; it reads one event as JSON. Empty for none."""
    webhook: str | None = field(default=None, repr=False)
    """An address that events are posted to. A secret: no copy of the configuration has it."""
    on: tuple[str, ...] = EVENTS
    timeout_s: float = 10.0
    """Time for one delivery."""
    every_s: float = 60.0
    """The shortest interval between two notifications of verdicts, and of incidents."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A whole configuration file, checked."""

    source: str
    text: str
    """The file as read, kept with the run."""
    run: Schedule
    engines: tuple[EngineConfig, ...]
    supervision: Supervision
    http: Http
    overrides: tuple[str, ...] = ()
    faults: tuple[FaultConfig, ...] = ()
    attribution: Attribution = Attribution()
    waivers: tuple[Waiver, ...] = ()
    """The known leaks in `run.waivers`, which do not fail the verdict."""
    retention: Retention = Retention()
    notify: Notify = Notify()
