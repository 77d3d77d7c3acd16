"""What a configuration says, as values in base units: seconds, bytes, bytes per hour, ratios."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from soakd.wire.spec import DECIDING_ROLES, Role

MIXES = ("standard", "read-heavy", "write-heavy", "cache-miss", "complex")
PROFILES = ("baseline", "target", "stress", "extreme", "spike", "step")
FAULT_KINDS = ("kill", "stop", "restart", "latency", "blackhole", "reset", "refuse", "reload-policy")
FAULT_PLACES = ("server", "network", "worker")
EVENTS = ("verdict", "incident", "end")
"""What somebody may be told of."""
CONTROLS = {"null": "control.null", "leak": "control.leak"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How long a run lasts, and how often it is sampled."""

    name: str
    duration_s: float | None = None
    """Length of the whole run; None where `operations` decides."""
    operations: int | None = None
    """Operations per engine in the load phase; None where the duration decides."""
    sample_every_s: float = 10.0
    collect_every_s: float | None = 60.0
    """Reachable bytes, read in a forked child; None where forking is not wanted."""
    snapshot_every_s: float | None = 300.0
    """Heap snapshots cost a forked child some seconds; memory samples microseconds."""
    seed: int = 1
    controls_off: tuple[str, ...] = ()
    memory_reserve_bytes: float | None = None
    """Where the host has less memory available the run ends, in order; None for the default, 0 for never."""
    disk_budget_bytes: float | None = None
    """The run ends, in order, when its folder is larger; None for the default, 0 for no bound."""
    longest_gap_s: float | None = None
    """A run that was left alone for longer is not resumed; None for the default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is allowed. None means: not judged."""

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
    """File descriptors gained over the load phase."""
    thread_growth: float = 8.0
    task_growth: float = 64.0
    child_growth: float = 8.0
    """Child processes gained over the load phase, and zombies."""
    restarts: int = 0
    """Restarts of the engine's process that still pass; each is an incident all the same."""
    recovery_s: float = 5.0
    """From the end of a server to its answering again, and from then on to operations that succeed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineConfig:
    """One engine, as its table says, with the run's defaults filled in."""

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
    """An engine's own setting; see `forks`."""
    forks: bool = True
    """False where the engine says `collect_every = "off"`: nothing is forked from its process."""
    options: Mapping[str, Any] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)

    @property
    def judges_server(self) -> bool:
        """Whether its server decides, whatever its role; an option of that name of somebody's own factory is theirs."""
        return self.factory is None and self.role != "control" and self.options.get("judge_server") is True

    @property
    def is_judged(self) -> bool:
        """Whether anything of it decides the verdict of a run."""
        return self.role in DECIDING_ROLES or self.judges_server


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultConfig:
    """One `[[fault]]` table: what is broken on purpose, where, and when. Times are seconds since the load began."""

    name: str
    kind: str
    target: str
    on: str
    at_s: tuple[float, ...] = ()
    """Its moments; empty where `every_s` draws them."""
    every_s: float | None = None
    jitter_s: float = 0.0
    """Each moment is drawn from so much before to so much after its turn."""
    count: int | None = None
    duration_s: float = 0.0
    latency_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """One known leak, as `waivers.toml` lists it."""

    name: str
    reason: str
    expires: str
    """The last day on which it holds, RFC 3339, UTC."""
    fingerprint: str | None = None
    """Of the site; where it is None, `engine` and `checks` say what is known."""
    engine: str | None = None
    """Beside a fingerprint: only in this engine."""
    checks: tuple[str, ...] = ()
    package: str | None = None
    versions: str | None = None
    """For which releases of `package` it holds, in the engine's environment: a range such as ">=1.2,<1.3"."""
    at_most: float | None = None
    """The most growth that it lists, in `at_most_unit`; None for what is measured at the site."""
    at_most_unit: str | None = None
    """bytes/hour, bytes/operation, bytes or count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Supervision:
    """When a worker is given up on."""

    max_restarts: int = 3
    restart_backoff_s: float = 1.0
    hang_after_s: float = 30.0
    """No progress for so long is a hang."""
    start_within_s: float = 60.0
    healthy_after_s: float = 3600.0
    """A life that lasted so long forgives the restarts before it: limit and pauses begin anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """Whether a leak's call site is looked for, and how often."""

    enabled: bool = True
    per_hour: int = 12
    """Deep looks on the whole host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """Which finished runs of the same name stay in the folder of runs; None means: no bound."""

    runs: int | None = None
    """So many of the newest."""
    age_s: float | None = None
    """Those that ended within so many seconds."""
    size_bytes: float | None = None
    """As many of the newest as fit, beside those that are unfinished; the newest in any case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Http:
    """Where `/metrics` is served."""

    host: str = "127.0.0.1"
    port: int = 0
    """0: any free port, printed at the start."""
    hosts: tuple[str, ...] = ()
    """Names under which the run may be asked for, besides loopback and the address that is listened on."""
    private: bool = False
    """The page and `/api/v1` need the run's token; `/metrics` and `/healthz` do not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notify:
    """Who is told of what happens, besides the log."""

    command: tuple[str, ...] = ()
    """A program and its arguments; it reads one event as JSON. Empty: none."""
    webhook: str | None = field(default=None, repr=False)
    """An address that events are posted to. A secret: it is in no copy of the configuration."""
    on: tuple[str, ...] = EVENTS
    timeout_s: float = 10.0
    """For one delivery."""
    every_s: float = 60.0
    """Verdicts, and incidents, are told at most so often each."""


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
    """What `run.waivers` lists: known leaks, which fail no verdict."""
    retention: Retention = Retention()
    notify: Notify = Notify()
