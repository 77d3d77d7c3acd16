"""Config -> Plan: phases, intervals, seeds and worker specs. Pure: a configuration always gives the same plan."""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from soakd.errors import ConfigError
from soakd.setup.config import read
from soakd.setup.engine_kinds import KINDS, PROFILE_RATES, for_worker
from soakd.setup.faults import FaultPlan, faults_of
from soakd.setup.settings import Config, EngineConfig, Limits
from soakd.setup.toml import read_text
from soakd.wire.spec import Phase, PhaseName, WorkerSpec

SHARES: Mapping[PhaseName, float] = {"baseline": 0.05, "drain": 0.05, "reload": 0.10, "close": 0.05}
LONGEST_SHORT_PHASE_S = 600.0
LEAST_SAMPLES = 40
"""The fewest samples in the load phase for growth to be judged at all."""

CONTROL_LEAK_TOTAL_BYTES = 200e6
"""The most that the leak control may leak over a whole run; its rate is lowered to stay below."""
CONTROL_RATE_PER_S = 1000.0
LEAKS = frozenset({"bytes_per_operation", "bytes_per_hour"})
"""The leak control's options for the amount; by default twice the strictest limit."""

GAP_SHARE, LEAST_GAP_S = 0.01, 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EnginePlan:
    """One engine of a plan."""

    config: EngineConfig
    rate_per_s: float
    phases: tuple[Phase, ...]
    sample_every_s: float
    collect_every_s: float | None
    snapshot_every_s: float | None
    seed: int
    options: Mapping[str, Any]

    @property
    def load(self) -> Phase:
        """The phase in which growth is judged."""
        return self.phase("load")

    def phase(self, name: str) -> Phase:
        """Return a phase by its name."""
        return next(phase for phase in self.phases if phase.name == name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that is decided about a run before it starts."""

    config: Config
    duration_s: float
    latency_every_s: float
    judge_every_s: float
    engines: tuple[EnginePlan, ...]
    faults: tuple[FaultPlan, ...] = ()
    """Faults on purpose, in order of time."""


def make_plan(config: Config) -> Plan:
    """Turn a configuration into a plan.

    Raises:
        ConfigError: lists every error: the run is too short for its sampling, or faults are beyond its load phase.
    """
    engines = tuple(_plan_engine(config, engine) for engine in config.engines)
    problems = list(_too_few_samples(config, engines))
    lengths_s = [engine.phases[-1].end_s for engine in engines]
    duration_s, shortest_s = max(lengths_s), min(lengths_s)
    loads = {e.config.name: (e.load.start_s, e.load.end_s, e.config.limits.recovery_s) for e in engines}
    faults: tuple[FaultPlan, ...] = ()
    try:
        faults = faults_of(config.faults, loads, config.run.seed, config.source)
    except ConfigError as error:
        problems += error.problems
    if problems:
        raise ConfigError(*problems)
    return Plan(
        faults=faults,
        config=config,
        duration_s=duration_s,
        latency_every_s=min(60.0, max(config.run.sample_every_s, shortest_s / 40)),
        judge_every_s=max(10.0, min(config.run.snapshot_every_s or math.inf, duration_s / 12)),
        engines=engines,
    )


def load_plan(
    path: Path, *, duration: str | None = None, overrides: Sequence[str] = (), only: Sequence[str] = ()
) -> Plan:
    """Read a configuration file and plan its run; see `config.load`.

    Raises:
        ConfigError: lists every error in the file, and in the plan made from its correct part.
    """
    text, folder = read_text(path), path.resolve().parent
    found = read(text, source=str(path), folder=folder, duration=duration, overrides=overrides, only=only)
    if found.sound is None:
        found.problems.refuse()
    assert found.sound is not None
    try:
        plan = make_plan(found.sound)
    except ConfigError as error:
        raise ConfigError(*found.problems.texts(), *error.problems) from error
    found.problems.refuse()
    return plan


def longest_gap_s(plan: Plan) -> float:
    """Return how long a run may be interrupted and still be resumed, in seconds."""
    given = plan.config.run.longest_gap_s
    return max(LEAST_GAP_S, GAP_SHARE * plan.duration_s) if given is None else given


def phases_of(duration_s: float) -> tuple[Phase, ...]:
    """Divide a run into its phases: each gets its share, at most ten minutes, and load gets the rest."""
    lengths = {name: min(share * duration_s, LONGEST_SHORT_PHASE_S) for name, share in SHARES.items()}
    load_s = duration_s - sum(lengths.values())
    return _lay_out(lengths["baseline"], load_s, lengths["drain"], lengths["reload"], lengths["close"])


def phases_for_operations(operations: int, rate_per_s: float) -> tuple[Phase, ...]:
    """Divide a run whose load phase performs exactly `operations`; the other phases are in the usual proportion."""
    load_s = operations / rate_per_s
    whole_s = load_s / (1.0 - sum(SHARES.values()))
    lengths = {name: min(share * whole_s, LONGEST_SHORT_PHASE_S) for name, share in SHARES.items()}
    return _lay_out(lengths["baseline"], load_s, lengths["drain"], lengths["reload"], lengths["close"])


def worker_spec(
    plan: Plan, engine: EnginePlan, segment: int, site_packages: tuple[str, ...],
    addresses: Mapping[str, str] = MappingProxyType({}),
) -> WorkerSpec:  # fmt: skip
    """Build the spec for one life of one engine's process.

    `addresses` has the address of each engine's private server, by the engine's name; it becomes the option `url`.
    """
    config = engine.config
    return WorkerSpec(
        engine=config.name,
        kind=config.kind,
        role=config.role,
        segment=segment,
        seed=engine.seed,
        rate_per_s=engine.rate_per_s,
        profile=config.profile,
        mix=config.mix,
        in_flight=config.in_flight,
        phases=engine.phases,
        sample_every_s=engine.sample_every_s,
        collect_every_s=engine.collect_every_s,
        snapshot_every_s=engine.snapshot_every_s,
        latency_every_s=plan.latency_every_s,
        options=_options_for_worker(engine, addresses),
        factory=config.factory,
        path=config.path,
        peers={
            other.config.name: {"kind": other.config.kind, "options": _options_for_worker(other, addresses)}
            for other in plan.engines
            if other.config.role != "control" and other.config.name != config.name
        },
        site_packages=site_packages,
    )


def _options_for_worker(engine: EnginePlan, addresses: Mapping[str, str]) -> Mapping[str, Any]:
    options = for_worker(engine.config.kind, engine.options)
    address = addresses.get(engine.config.name)
    return options if address is None else options | {"url": address}


def strictest_leak(limits: Limits) -> Mapping[str, float]:
    """Return the leak control's option: twice the limit, in the limit's unit."""
    if limits.growth_per_operation_bytes is not None:
        return {"bytes_per_operation": 2 * limits.growth_per_operation_bytes}
    return {"bytes_per_hour": 2 * (limits.growth_rate_bytes_per_h or 1e6)}


def _plan_engine(config: Config, engine: EngineConfig) -> EnginePlan:
    run = config.run
    rate = engine.rate_per_s or PROFILE_RATES[engine.profile]
    options: dict[str, Any] = dict(engine.options)
    if KINDS[engine.kind].default_role == "control":
        if engine.kind == "control.leak" and not options.keys() & LEAKS:
            strictest = _strictest(config)
            options |= strictest_leak(strictest)
            engine = _judged_by(engine, strictest, options)
        rate = engine.rate_per_s or _control_rate(run.duration_s, options)
    phases = phases_of(run.duration_s) if run.duration_s else phases_for_operations(run.operations or 1, rate)
    load_s = phases[1].duration_s
    collect_s = (engine.collect_every_s or run.collect_every_s) if engine.forks else None
    return EnginePlan(
        config=engine,
        rate_per_s=rate,
        phases=phases,
        sample_every_s=run.sample_every_s,
        collect_every_s=min(collect_s, load_s / LEAST_SAMPLES) if collect_s else None,
        snapshot_every_s=run.snapshot_every_s if collect_s else None,  # "off": nothing is forked
        seed=_seed_for(run.seed, engine),
        options=options,
    )


def _strictest(config: Config) -> Limits:
    """Return the limits of the subject with the smallest growth limit; limits per operation come first."""
    judged = [e.limits for e in config.engines if e.is_judged] or [config.engines[0].limits]
    per_operation = [limits for limits in judged if limits.growth_per_operation_bytes is not None]
    if per_operation:
        return min(per_operation, key=lambda limits: limits.growth_per_operation_bytes or math.inf)
    return min(judged, key=lambda limits: limits.growth_rate_bytes_per_h or math.inf)


def _judged_by(engine: EngineConfig, limits: Limits, leak: Mapping[str, Any]) -> EngineConfig:
    """Return the leak control's limits: only the one that it leaks twice of, as it might pass any other.

    A leak per operation is small per hour if the control is slow, as it is in a long run.
    """
    hourly = "bytes_per_hour" in leak
    own = replace(
        engine.limits, growth_rate_bytes_per_h=limits.growth_rate_bytes_per_h if hourly else None,
        growth_per_operation_bytes=None if hourly else limits.growth_per_operation_bytes,
    )  # fmt: skip
    return replace(engine, limits=own)


def _control_rate(duration_s: float | None, options: Mapping[str, Any]) -> float:
    """Choose a control's rate: that of the subjects, or a lower one if its leak would fill the host."""
    leak: float | None = options.get("bytes_per_operation")
    if not leak or not duration_s:
        return CONTROL_RATE_PER_S
    return max(1.0, min(CONTROL_RATE_PER_S, float(CONTROL_LEAK_TOTAL_BYTES / leak // duration_s)))


def _seed_for(seed: int, engine: EngineConfig) -> int:
    """Return the seed of a mix's tape, so that subject, rival and twin get the same operations."""
    digest = hashlib.sha256(f"{seed}/{engine.mix}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def _lay_out(baseline_s: float, load_s: float, drain_s: float, reload_s: float, close_s: float) -> tuple[Phase, ...]:
    names: tuple[PhaseName, ...] = ("baseline", "load", "drain", "reload", "close")
    phases, start_s = [], 0.0
    for name, length_s in zip(names, (baseline_s, load_s, drain_s, reload_s, close_s), strict=True):
        phases.append(Phase(name=name, start_s=start_s, end_s=start_s + length_s))
        start_s += length_s
    return tuple(phases)


def _too_few_samples(config: Config, engines: Sequence[EnginePlan]) -> Iterator[str]:
    """Report too few samples for the engine with the shortest load only, as all share one interval."""
    engine = min(engines, key=lambda engine: engine.load.duration_s)
    load_s = engine.load.duration_s
    samples = int(load_s / config.run.sample_every_s)
    if samples < LEAST_SAMPLES:
        yield (
            f"{config.source}: run: sample_every: {samples} samples fit in the load phase of engine "
            f'"{engine.config.name}" ({load_s:.0f}s), {LEAST_SAMPLES} are needed: '
            f'set sample_every = "{_fitting(load_s)}" or run longer'
        )


def _fitting(load_s: float) -> str:
    every_s = load_s / LEAST_SAMPLES
    return f"{math.floor(every_s)}s" if every_s >= 1 else f"{math.floor(every_s * 1000)}ms"
