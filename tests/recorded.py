"""A run made up record by record, in virtual time: what the judge would find in a journal after hours of soaking."""

import dataclasses
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from soakd.errors import JournalError
from soakd.judge.conclude.verdict import make_verdict
from soakd.judge.growth import method
from soakd.judge.growth.mixture import Mixture
from soakd.judge.growth.series import Segment
from soakd.judge.story.assemble import assemble
from soakd.record.journal import Journal
from soakd.record.run_folder import RunDir
from soakd.setup import config
from soakd.setup.plan import EnginePlan, Plan, make_plan
from soakd.setup.plan_json import plan_as_dict
from soakd.wire import histogram
from soakd.wire.records import Kind, Record, Stamp, make_record
from soakd.wire.spec import LOADED_PHASES, Role

WALL_S, BOOT_S, MONO_S = 1.8e9, 5000.0, 4000.0
LATENCY_NS = 20_000
OUTSIDE = ("fds", "threads")
"""Signals that are read from outside the engine's process."""

Level = Callable[[float, float], float]
"""Bytes above the start, by seconds since the origin and operations done."""


def flat(t_s: float, operations: float) -> float:
    return 0.0


def per_operation(count: float) -> Level:
    return lambda t_s, operations: count * operations


def per_hour(count: float) -> Level:
    return lambda t_s, operations: count * t_s / 3600.0


@dataclass(kw_only=True)
class ServerStory:
    """How the server of an engine behaves."""

    kind: str = "redis"
    read_from: str = "proc"
    live: Level | None = flat
    """None where the server does not say."""
    resident: Level | None = flat
    """Resident beyond what is live; None where nobody can read it."""
    noise_bytes: float = 3000.0
    silent_from_s: float = float("inf")
    cpu: float = 0.2
    """Processor seconds a second."""
    outages: tuple[tuple[float, float | None], ...] = ()
    """When it ended, and after how many seconds it answered again; None where it never did."""
    incident_of_outage: str | None = "server_crash"
    gives_up: bool = False
    """What never answered again was given up."""
    begins_told: bool = True
    backend: str = "private"
    restart_told: bool = False


@dataclass(kw_only=True)
class Story:
    """How one engine behaves."""

    python: Level = flat
    native: Level = flat
    garbage: Level = flat
    """Live, but not reachable."""
    resident: Level = flat
    """Resident beyond what is live."""
    error_ratio: float = 0.0
    fails: tuple[tuple[float, float], ...] = ()
    """When every operation fails: from, to."""
    latency_ns: int = LATENCY_NS
    lateness_ns: int = 100_000
    silent_from_s: dict[str, float] = field(default_factory=dict)
    """Signals that are no longer read from some moment on."""
    more: dict[str, Level] = field(default_factory=dict)
    noise_bytes: float = 3000.0
    declared: dict[str, float] = field(default_factory=dict)
    """What the engine says of its capacity."""
    operations: Callable[[float], float] | None = None
    """Operations done by seconds since the origin; None for those of the plan."""
    restarts: tuple[float, ...] = ()
    """When the process became another one: counters start again."""
    server: ServerStory | None = None
    tape_sha256: str | None = None
    incident_of_restart: str | None = "crash"
    incidents: list[tuple[float, dict[str, Any]]] = field(default_factory=list)


PLAN = """
[run]
name = "made-up"
duration = "{duration}"
sample_every = "{every}"
[limits]
{limits}
[[engine]]
name = "mine"
kind = "python"
factory = "package.module:make"
rate = 1000
"""


def plan_of(
    *, duration: str = "3min", every: str = "1s", limits: str = 'growth_per_operation = "16B"', run: str = ""
) -> Plan:
    text = PLAN.format(duration=duration, every=every, limits=limits).replace("[limits]", f"{run}\n[limits]")
    return make_plan(config.parse(text, source="made-up.toml", folder=Path.cwd()))


def with_engine(plan: Plan, name: str = "mine", *, role: Role | None = None, **options: Any) -> Plan:
    """Return the plan with another role of one engine, and with more options of its own (as of other kinds)."""

    def changed(engine: EnginePlan) -> EnginePlan:
        config = dataclasses.replace(engine.config, role=role or engine.config.role, factory=None, options=options)
        return dataclasses.replace(engine, config=config, options=options)

    engines = tuple(changed(engine) if engine.config.name == name else engine for engine in plan.engines)
    return dataclasses.replace(plan, engines=engines)


def leak_control(plan: Plan) -> Story:
    """The leak control as it should be: half in Python, half in native memory."""
    options = next((e.options for e in plan.engines if e.config.kind == "control.leak"), {"bytes_per_operation": 0.0})
    if "bytes_per_operation" in options:
        half = per_operation(options["bytes_per_operation"] / 2)
    else:
        half = per_hour(options["bytes_per_hour"] / 2)
    return Story(python=half, native=half)


def judged(
    plan: Plan, *, mine: Story | None = None, null: Story | None = None, leak: Story | None = None,
    until_s: float | None = None, end: str | None = "completed", running: bool = False, own: Level = flat,
    available: Level | None = None,
    change: Callable[[Record], Record | None] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Make up a run and judge it.

    Args:
        plan: what was asked.
        mine, null, leak: how the engines behave.
        until_s: the run was cut off then.
        end: the reason in the record that seals it; None where it was killed.
        running: judge it as going on.
        own, available: the daemon's own memory, and the host's available bytes.
        change: replaces a record, or drops it.
    """
    stories = {"mine": mine or Story(), "control-null": null or Story(), "control-leak": leak or leak_control(plan)}
    records = made_up(plan, stories, until_s=until_s, end=end, own=own, available=available)
    changed = records if change is None else [c for r in records if (c := change(r)) is not None]
    return verdict_of(plan, changed, running=running)


def made_up(
    plan: Plan, stories: dict[str, Story] | None = None, *, until_s: float | None = None,
    end: str | None = "completed", own: Level = flat, available: Level | None = None,
) -> list[Record]:  # fmt: skip
    """Make up the records of a run; see `judged`."""
    told = {"control-leak": leak_control(plan)} | (stories or {})
    return list(_records(plan, told, until_s or plan.duration_s + 1, end, own, available))


def verdict_of(plan: Plan, changed: list[Record], *, running: bool = False) -> dict[str, Any]:
    with mock.patch.object(method, "_rate", _rate_once):
        return make_verdict(assemble(plan, changed), {"run_id": "made-up"}, running=running).as_dict()


_rates: dict[tuple[bytes, bytes, float, float], Mixture | None] = {}


def _rate_once(
    segment: Segment, limit: float, day: float, rate: Callable[..., Mixture | None] = method._rate
) -> Mixture | None:
    """The rate of a life; the same life, as the controls have it in nearly every test, is looked at once."""
    key = segment.x.tobytes(), segment.y.tobytes(), limit, day
    if key not in _rates:
        _rates[key] = rate(segment, limit, day)
    return _rates[key]


def check(verdict: dict[str, Any], engine: str, check_id: str) -> dict[str, Any]:
    """Find one check of one engine, or of the run (engine "")."""
    checks = verdict["checks"] if not engine else next(e for e in verdict["engines"] if e["name"] == engine)["checks"]
    found: dict[str, Any] = next(c for c in checks if c["id"] == check_id)
    return found


def recorded_run(folder: Path, records: list[Record], plan: Plan | None = None) -> RunDir:
    """A run's folder with these records in its journal."""
    folder.mkdir()
    run = RunDir(folder)
    failures: list[JournalError] = []
    journal = Journal(run.journal, on_commit=lambda batch: None, on_failure=failures.append)
    meta = {"run_id": run.run_id, "plan": plan_as_dict(plan or plan_of()), "environment": {}, "config_sha256": "0" * 64}
    journal.set_meta(meta)
    for record in records:
        journal.put(record)
    journal.close()
    assert failures == []
    return run


def remade(record: Record, **fields: Any) -> Record:
    """The same record with other fields, read anew."""
    same = {"engine": record.engine, "segment": record.segment, "at": record.at, "body": record.body}
    return make_record(fields.pop("kind", record.kind), **{**same, **fields})


def stamp(t_s: float) -> Stamp:
    return Stamp(WALL_S + t_s, BOOT_S + t_s, MONO_S + t_s)


def _records(
    plan: Plan, stories: dict[str, Story], until_s: float, end: str | None, own: Level, available: Level | None
) -> Iterator[Record]:
    yield _record("phase", "", 0.0, {"name": "origin", "mono_s": MONO_S})
    for engine in plan.engines:
        story = stories.get(engine.config.name, Story())
        yield from _engine_records(plan, engine, story, until_s)
    t_s, collect_due_s, noise = 0.0, 0.0, random.Random("soakd")
    while t_s <= min(until_s, plan.duration_s):
        body = {"source": "outside", "rss_bytes": 5e7 + own(t_s, 0), "cpu_s_total": 0.002 * t_s}
        body["rss_anon_bytes"] = 4e7 + own(t_s, 0) + 4096 * round(noise.gauss(0, 3))
        body |= {"live_python_bytes": 2e7 + own(t_s, 0), "live_native_bytes": 1e7 + noise.gauss(0, 3000)}
        if plan.config.run.collect_every_s and t_s >= collect_due_s:
            collect_due_s += plan.config.run.collect_every_s
            body |= {"reachable_python_bytes": 2e7 + own(t_s, 0), "reachable_native_bytes": 1e7 + noise.gauss(0, 500)}
            body["reachable_forked_at_s"] = MONO_S + t_s
        if available is not None:
            body["memory_available_bytes"] = available(t_s, 0)
        yield _record("sample", "", t_s, body)
        t_s += plan.config.run.sample_every_s
    if end is not None:
        yield _record("phase", "", min(until_s, plan.duration_s), {"name": "end", "reason": end})


def _engine_records(plan: Plan, engine: EnginePlan, story: Story, until_s: float) -> Iterator[Record]:
    name, noise = engine.config.name, random.Random(engine.config.name)
    said = story.declared if story.tape_sha256 is None else story.declared | {"tape_sha256": story.tape_sha256}
    yield _record("hello", name, -1.0, {"pid": 77, **said})
    if story.server is not None:
        yield from _server_records(plan, engine, story.server, story, until_s)
    for life, at_s in enumerate(story.restarts, 1):
        if at_s <= until_s:
            yield from _restart(name, life, at_s, story)
    t_s, reachable_due_s, latency_due_s = 0.0, 0.0, plan.latency_every_s
    while t_s <= min(until_s, engine.phases[-1].end_s):
        phase = next((p for p in engine.phases if p.start_s <= t_s < p.end_s), engine.phases[-1])
        operations = story.operations(t_s) if story.operations else _operations(engine, t_s)
        life = sum(at_s <= t_s for at_s in story.restarts)
        begun = story.restarts[life - 1] if life else 0.0
        before = (story.operations(begun) if story.operations else _operations(engine, begun)) if life else 0
        body: dict[str, Any] = {
            "phase": phase.name,
            "operations_total": operations - before,
            "errors_total": int((operations - before) * story.error_ratio) + _failed(engine, story, t_s),
            "dropped_total": 0,
            "skipped_total": 0,
            "live_python_bytes": 2e7
            + story.python(t_s, operations)
            + story.garbage(t_s, operations)
            + noise.gauss(0, story.noise_bytes),
            "live_native_bytes": 1e7 + story.native(t_s, operations) + noise.gauss(0, story.noise_bytes),
            **{signal: level(t_s, operations) for signal, level in story.more.items() if signal not in OUTSIDE},
        }
        if engine.collect_every_s and t_s >= reachable_due_s:
            reachable_due_s += engine.collect_every_s
            closed = phase.name == "close"
            body["reachable_python_bytes"] = (
                (1e7 if closed else 2e7) + story.python(t_s, operations) + noise.gauss(0, story.noise_bytes)
            )
            body["reachable_native_bytes"] = 1e7 + story.native(t_s, operations) + noise.gauss(0, story.noise_bytes)
            body["reachable_forked_at_s"] = MONO_S + t_s
        level = sum(f(t_s, operations) for f in (story.python, story.native, story.garbage, story.resident))
        outside = {
            "source": "outside",
            "rss_bytes": 4e7 + level,
            "fds": 9,
            "threads": 1,
            "cpu_s_total": 0.1 * t_s,
            "rss_anon_bytes": 3e7 + level + 4096 * round(noise.gauss(0, 5)),
            **{signal: more(t_s, operations) for signal, more in story.more.items() if signal in OUTSIDE},
        }
        for part in (body, outside):
            kept = {k: v for k, v in part.items() if t_s < story.silent_from_s.get(k, float("inf"))}
            yield _record("sample", name, t_s, kept, life)
        if t_s >= latency_due_s and phase.name in LOADED_PHASES:
            yield _latency(name, t_s, latency_due_s, phase.name, story)
            latency_due_s = t_s + plan.latency_every_s
        t_s += plan.config.run.sample_every_s
    for at_s, incident in story.incidents:
        yield _record("incident", name, at_s, incident)
    if until_s >= engine.phases[-1].end_s:
        yield _record("bye", name, engine.phases[-1].end_s, {"stopped": False}, len(story.restarts))


def _server_records(
    plan: Plan, engine: EnginePlan, server: ServerStory, story: Story, until_s: float
) -> Iterator[Record]:
    name = engine.config.name
    begins = [0.0, *(at_s + after_s for at_s, after_s in server.outages if after_s is not None and at_s <= until_s)]
    yield from _outages(name, server, until_s)
    for life, begin_s in enumerate(begins):
        if server.begins_told:
            facts = {"server": server.kind, "version": "7.0", "backend": server.backend, "read_from": server.read_from}
            yield _record("server", name, begin_s, {**facts, "pid": 900 + life}, life)
        if server.restart_told and life:
            yield _record("incident", name, begin_s, {"what": "server_restart", "server": server.kind}, life)
    noise, t_s = random.Random(f"{name}'s server"), 0.0
    while t_s <= min(until_s, engine.phases[-1].end_s, server.silent_from_s):
        operations = story.operations(t_s) if story.operations else _operations(engine, t_s)
        if not any(at_s <= t_s < at_s + (after_s or 1e9) for at_s, after_s in server.outages):
            life = sum(begin_s <= t_s for begin_s in begins) - 1
            body = _server_sample(server, t_s, operations, noise)
            if server.resident is not None:
                body["cpu_s_total"] = server.cpu * (t_s - begins[life])
            yield _record("sample", name, t_s, body, life)
        t_s += plan.config.run.sample_every_s


def _outages(name: str, server: ServerStory, until_s: float) -> Iterator[Record]:
    life = 0
    for at_s, after_s in server.outages:
        if server.incident_of_outage is None or at_s > until_s:
            continue
        ended = {"what": server.incident_of_outage, "server": server.kind, "detail": "ended by SIGKILL"}
        yield _record("incident", name, at_s, ended, life)
        if after_s is not None:
            life += 1
            recovered = {"what": "server_recovered", "server": server.kind, "recovery_s": after_s}
            yield _record("incident", name, at_s + after_s, recovered, life)
        elif server.gives_up:
            yield _record("incident", name, at_s + 1.0, {"what": "server_gave_up", "server": server.kind}, life)


def _server_sample(server: ServerStory, t_s: float, operations: float, noise: random.Random) -> dict[str, Any]:
    body: dict[str, Any] = {"source": "server", "server": server.kind, "probe.server.duration_s": 0.001}
    live = 0.0 if server.live is None else server.live(t_s, operations)
    if server.live is not None:
        body["live_bytes"] = 2e6 + live + noise.gauss(0, server.noise_bytes)
    if server.resident is not None:
        body["rss_anon_bytes"] = 6e6 + live + server.resident(t_s, operations) + 4096 * round(noise.gauss(0, 5))
    return body


def _restart(name: str, life: int, at_s: float, story: Story) -> Iterator[Record]:
    if story.incident_of_restart:
        yield _record("incident", name, at_s, {"what": story.incident_of_restart, "detail": "ended"}, life - 1)
        yield _record("incident", name, at_s, {"what": "restart", "detail": "again"}, life)
    yield _record("hello", name, at_s, {"pid": 77 + life, **story.declared}, life)


def _operations(engine: EnginePlan, t_s: float) -> int:
    loaded = (max(0.0, min(t_s, p.end_s) - p.start_s) for p in engine.phases if p.name in LOADED_PHASES)
    return round(engine.rate_per_s * sum(loaded))


def _failed(engine: EnginePlan, story: Story, t_s: float) -> int:
    return sum(
        _operations(engine, min(t_s, to_s)) - _operations(engine, from_s)
        for from_s, to_s in story.fails
        if from_s < t_s
    )


def _latency(name: str, t_s: float, due_s: float, phase: str, story: Story) -> Record:
    def packed(value_ns: int) -> str:
        return histogram.pack(histogram.encode_sparse([(histogram.bucket_of(value_ns), 1000)]))

    body = {
        "phase": phase, "window": False, "from_mono_s": MONO_S + due_s, "service": packed(story.latency_ns),
        "response": packed(story.latency_ns + story.lateness_ns), "lateness": packed(story.lateness_ns),
    }  # fmt: skip
    return _record("latency", name, t_s, body)


def _record(kind: Kind, engine: str, t_s: float, body: dict[str, Any], segment: int = 0) -> Record:
    return make_record(kind, engine=engine, segment=segment, at=stamp(t_s), body=body)
