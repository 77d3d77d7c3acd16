"""The verdict of a run as values: what the judge writes, and every output reads.

`Verdict.as_dict` and `Verdict.from_dict` are the one way to and from `verdict.json`. Only additions are made to it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from soakd.verdict.check import Check, is_deciding
from soakd.verdict.codec import as_other, from_json, named, to_json, written
from soakd.verdict.severity import State
from soakd.wire.sites import Site, decode_all, encode

SCHEMA = "soakd.verdict/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What was run, for how long, and where."""

    name: str = written("")
    started_at: str | None = written()
    ended_at: str | None = written()
    ended_by: str | None = written()
    planned_seconds: float | None = written()
    observed_seconds: float | None = written()
    coverage_ratio: float | None = written()
    """The least share of the samples due that arrived, of all engines."""
    host: Mapping[str, Any] | None = written()
    versions: Mapping[str, Any] | None = written()
    git_commit: str | None = written()
    config_sha256: str | None = written()


@dataclass(frozen=True, slots=True, kw_only=True)
class LifeEntry:
    """One life of a process."""

    segment: int
    pid: int | None = written()
    started_at: str | None = written()
    ended_at: str | None = written()
    ended_by: str = ""
    python: str | None = None
    """Version of its interpreter; None of a server."""
    executable: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerVerdict:
    """The server that an engine talks to, judged as a process of its own."""

    server: str
    """Its kind: redis or opa."""
    version: str | None = None
    address: str | None = None
    backend: str | None = None
    read_from: str | None = None
    verdict: State
    informational: bool = False
    growth_class: str = named("class", "")
    reason: str = ""
    segments: tuple[LifeEntry, ...] = written(())


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeEntry:
    """Python objects of one type that keep growing in number."""

    type: str
    per_operation: float
    bytes_per_operation: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LookEntry:
    """A deep look that ended."""

    route: str
    state: str
    why: str | None = None
    note: str | None = None
    """What it had to do without, and why."""
    operations: tuple[float, ...] | None = None
    """In each window."""
    types: tuple[TypeEntry, ...] = ()
    seconds: float | None = None


def _sites_json(sites: tuple[Site, ...]) -> list[dict[str, Any]]:
    return [encode(site) for site in sites]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineVerdict:
    """What was found of one engine."""

    name: str
    kind: str = ""
    role: str = ""
    verdict: State
    growth_class: str = named("class", "")
    reason: str = ""
    rate_per_second: float | None = None
    segments: tuple[LifeEntry, ...] = written(())
    servers: tuple[ServerVerdict, ...] = ()
    checks: tuple[Check, ...] = written(())
    attribution: tuple[Site, ...] = as_other((), write=_sites_json, read=decode_all)
    """The sites that grow, the heaviest first."""
    looks: tuple[LookEntry, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured number of two engines; a side is None where it was not measured."""

    id: str
    unit: str
    subject: float | None = None
    other: float | None = None
    ratio: float | None = None
    """other / subject; None where one is not known, or is not certainly above 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A rival or a twin beside its subject."""

    subject: str
    other: str
    role: str = ""
    same_tape: bool = written(False)
    """Both were driven by the same operations."""
    note: str | None = None
    """Why not."""
    figures: tuple[Figure, ...] = written(())
    missing: str | None = None
    """What could not be compared, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlVerdict:
    """What became of a control."""

    engine: str | None = None
    check: str | None = None
    verdict: State
    caught: bool | None = None
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    so_far: State | None = None
    limit: float | None = None
    unit: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Controls:
    """Both controls: null must be flat, leak must be caught."""

    null: ControlVerdict | None = None
    leak: ControlVerdict | None = None

    def of_kind(self, kind: str) -> ControlVerdict | None:
        """Return what became of the control of a kind of engine; None where it is no control."""
        return {"control.null": self.null, "control.leak": self.leak}.get(kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observer:
    """What soakd itself took and grew, and what its empty control grew."""

    cpu_ratio: float | None = None
    resident_bytes: float | None = None
    live_bytes: float | None = None
    reachable_bytes: float | None = None
    growth_bytes_per_hour: float | None = None
    growth_bytes_per_hour_low: float | None = None
    growth_bytes_per_hour_high: float | None = None
    harness_growth_bytes_per_operation: float | None = None
    harness_growth_bytes_per_operation_low: float | None = None
    harness_growth_bytes_per_operation_high: float | None = None
    harness_growth_bytes_per_hour: float | None = None
    harness_growth_bytes_per_hour_low: float | None = None
    harness_growth_bytes_per_hour_high: float | None = None


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that happened; besides these it has whatever is known of its kind."""

    facts: Mapping[str, Any]
    """All of it, by the names and in the order of the file."""

    @property
    def what(self) -> str:
        """What it is; a journal that was damaged may not say."""
        return str(self.facts.get("what", "unknown"))

    @property
    def engine(self) -> str | None:
        """The engine; None where it is the run's or the host's."""
        named = self.facts.get("engine")
        return named if isinstance(named, str) else None

    @property
    def at_wall_s(self) -> float:
        """When it was, in wall seconds; 0 where the file does not say."""
        at = self.facts.get("at_wall_s")
        return float(at) if isinstance(at, int | float) else 0.0

    @property
    def detail(self) -> str:
        """What is said of it."""
        return str(self.facts.get("detail") or "")


def _incidents(values: Any) -> tuple[Incident, ...]:
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        raise ValueError("is no list of tables")
    return tuple(map(Incident, values))


def _incidents_json(incidents: tuple[Incident, ...]) -> list[Mapping[str, Any]]:
    return [incident.facts for incident in incidents]


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultEntry:
    """A fault on purpose, and how it was recovered from."""

    number: int | None = None
    """Of the plan's; files of older versions do not have it."""
    name: str
    kind: str = ""
    target: str = ""
    on: str = ""
    at_s: float | None = None
    verdict: State
    took_place: bool = written(False)
    from_s: float | None = None
    until_s: float | None = None
    lasted_s: float | None = None
    detected_s: float | None = None
    recovered_s: float | None = None
    operations: float | None = None
    failed_operations: float | None = None
    retried_operations: float | None = None
    bytes_not_returned: float | None = None
    others: Mapping[str, Any] | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exclusion:
    """Something that was recorded of the load phases and not judged."""

    engine: str | None = None
    what: str
    why: str
    windows: int = written(0)
    seconds: float | None = written()
    operations: float = written(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class WaivedCheck:
    """A check that a waiver covers, or why it does not."""

    engine: str
    check: str
    why: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WaiverFate:
    """What became of one waiver."""

    name: str
    state: str
    """used, exceeded, expired or unused."""
    reason: str = ""
    expires: str = ""
    fingerprint: str | None = None
    engine: str | None = None
    checks: tuple[str, ...] = ()
    package: str | None = None
    versions: str | None = None
    at_most: float | None = None
    at_most_unit: str | None = None
    covers: tuple[WaivedCheck, ...] = ()
    beyond: tuple[WaivedCheck, ...] = ()
    why: str | None = None
    """Why it did not hold, or was of no use."""

    @property
    def reasons(self) -> list[str]:
        """Why it did not cover what it might have."""
        return [why for why in (*(each.why for each in self.beyond), self.why) if why]


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A file of the run."""

    path: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What soakd says of one run."""

    schema: str = written(SCHEMA)
    run_id: str = written("")
    verdict: State
    summary: str
    visibility: tuple[str, ...] = written(())
    run: RunFacts | None = None
    engines: tuple[EngineVerdict, ...] = written(())
    checks: tuple[Check, ...] = written(())
    """Of the run as a whole."""
    comparisons: tuple[Comparison, ...] = ()
    controls: Controls | None = None
    observer: Observer | None = None
    incidents: tuple[Incident, ...] = as_other((), write=_incidents_json, read=_incidents)
    faults: tuple[FaultEntry, ...] = written(())
    exclusions: tuple[Exclusion, ...] = written(())
    waivers: tuple[WaiverFate, ...] = written(())
    artifacts: tuple[Artifact, ...] = written(())

    def as_dict(self) -> dict[str, Any]:
        """Write the content of `verdict.json`, but for its checksum."""
        content: dict[str, Any] = to_json(self)
        return content

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Read the content of a verdict file of this or an older version; keys that are not known are left out.

        Raises:
            ValueError: something is missing in it, or of another type; it says where.
        """
        engines = content.get("engines")
        if isinstance(engines, list):
            engines = [_decided(entry, entry.get("role")) if isinstance(entry, Mapping) else entry for entry in engines]
        return from_json(cls, {**_decided(content, None), "engines": engines})

    def engine(self, name: str) -> EngineVerdict | None:
        """Return an engine by its name; None where there is none."""
        return next((engine for engine in self.engines if engine.name == name), None)


def _decided(judged: Mapping[str, Any], role: str | None) -> Mapping[str, Any]:
    """Say of each check in a table whether it decides, where an older file does not."""
    checks = judged.get("checks")
    if not isinstance(checks, list):
        return judged
    told = [{**check, "decides": is_deciding(check, role)} if isinstance(check, Mapping) else check for check in checks]
    return {**judged, "checks": told}
