"""The verdict of a run as values: the judge writes it, and every output reads it.

`Verdict.as_dict` and `Verdict.from_dict` are the one way to and from `verdict.json`. Only additions are made to it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from soakd.verdict.check import Check, is_deciding
from soakd.verdict.codec import as_other, from_json, named, to_json, written
from soakd.verdict.severity import State
from soakd.wire.records import TypeGrowth
from soakd.wire.sites import Site, decode_all, encode

SCHEMA = "soakd.verdict/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """The run: what, for how long, and where."""

    name: str = written("")
    started_at: str | None = written()
    ended_at: str | None = written()
    ended_by: str | None = written()
    planned_seconds: float | None = written()
    observed_seconds: float | None = written()
    coverage_ratio: float | None = written()
    """The share of the due samples that were received, the least of all engines."""
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
    ended_by: str = written("")
    python: str | None = None
    """Version of its interpreter; None for a server."""
    executable: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerVerdict:
    """An engine's server, judged as a separate process."""

    server: str
    """Its kind: redis or opa."""
    version: str | None = None
    address: str | None = None
    backend: str | None = None
    read_from: str | None = None
    verdict: State
    informational: bool = False
    growth_class: str = named("class", "")
    reason: str = written("")
    segments: tuple[LifeEntry, ...] = written(())


@dataclass(frozen=True, slots=True, kw_only=True)
class LookEntry:
    """A deep look that ended."""

    route: str
    state: str
    why: str | None = None
    note: str | None = None
    """A limitation, with its reason."""
    operations: tuple[float, ...] | None = None
    """Operations in each window."""
    types: tuple[TypeGrowth, ...] = ()
    """Types of Python objects whose number keeps growing."""
    seconds: float | None = None


def _sites_json(sites: tuple[Site, ...]) -> list[dict[str, Any]]:
    return [encode(site) for site in sites]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineVerdict:
    """The results for one engine."""

    name: str
    kind: str = written("")
    role: str = written("")
    verdict: State
    growth_class: str = named("class", "")
    reason: str = written("")
    rate_per_second: float | None = None
    segments: tuple[LifeEntry, ...] = written(())
    servers: tuple[ServerVerdict, ...] = ()
    checks: tuple[Check, ...] = written(())
    attribution: tuple[Site, ...] = as_other((), write=_sites_json, read=decode_all)
    """The sites that grow, the heaviest first."""
    looks: tuple[LookEntry, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured number of two engines; None on a side without a measurement."""

    id: str
    unit: str
    subject: float | None = None
    other: float | None = None
    ratio: float | None = None
    """other / subject; None if one is unknown, or not certainly above 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A rival or twin compared with its subject."""

    subject: str
    other: str
    role: str = written("")
    same_tape: bool = written(False)
    """Whether both were driven by the same operations."""
    note: str | None = None
    """Why not, if they were not."""
    figures: tuple[Figure, ...] = written(())
    missing: str | None = None
    """What could not be compared, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlVerdict:
    """The result of a control."""

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
        """Return the result of the control of a kind; None if the kind is not a control."""
        return {"control.null": self.null, "control.leak": self.leak}.get(kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observer:
    """soakd's own resources and growth, and the growth of its null control."""

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
    """Something that happened, with additional fields that depend on its kind."""

    facts: Mapping[str, Any]
    """All fields, by the names and in the order of the file."""

    @property
    def what(self) -> str:
        """Its kind; a damaged journal may not have it."""
        return str(self.facts.get("what", "unknown"))

    @property
    def engine(self) -> str | None:
        """The engine; None if it is about the run or the host."""
        named = self.facts.get("engine")
        return named if isinstance(named, str) else None

    @property
    def at_wall_s(self) -> float:
        """Its time in wall seconds; 0 if the file does not have it."""
        at = self.facts.get("at_wall_s")
        return float(at) if isinstance(at, int | float) else 0.0

    @property
    def detail(self) -> str:
        """Its description."""
        return str(self.facts.get("detail") or "")


def _incidents(values: Any) -> tuple[Incident, ...]:
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        raise ValueError("is no list of tables")
    return tuple(map(Incident, values))


def _incidents_json(incidents: tuple[Incident, ...]) -> list[Mapping[str, Any]]:
    return [incident.facts for incident in incidents]


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultEntry:
    """A fault on purpose, and the recovery from it."""

    number: int | None = None
    """Its number in the plan; files of older versions do not have it."""
    name: str
    kind: str = written("")
    target: str = written("")
    on: str = written("")
    at_s: float | None = written()
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
    """Something that was recorded in the load phases and not judged."""

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
    """The state of one waiver."""

    name: str
    state: str
    """used, exceeded, expired or unused."""
    reason: str = written("")
    expires: str = written("")
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
    """Why it did not apply, or was unused."""

    @property
    def reasons(self) -> list[str]:
        """Why it did not cover more."""
        return [why for why in (*(each.why for each in self.beyond), self.why) if why]


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A file of the run."""

    path: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The verdict of one run."""

    schema: str = written(SCHEMA)
    run_id: str = written("")
    verdict: State
    summary: str
    visibility: tuple[str, ...] = written(())
    run: RunFacts | None = None
    engines: tuple[EngineVerdict, ...] = written(())
    checks: tuple[Check, ...] = written(())
    """Checks of the run as a whole."""
    comparisons: tuple[Comparison, ...] = ()
    controls: Controls | None = None
    observer: Observer | None = None
    incidents: tuple[Incident, ...] = as_other((), write=_incidents_json, read=_incidents)
    faults: tuple[FaultEntry, ...] = written(())
    exclusions: tuple[Exclusion, ...] = written(())
    waivers: tuple[WaiverFate, ...] = written(())
    artifacts: tuple[Artifact, ...] = written(())

    def as_dict(self) -> dict[str, Any]:
        """Return the content of `verdict.json`, without its checksum."""
        content: dict[str, Any] = to_json(self)
        return content

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Read the content of a verdict file of this or an older version; unknown keys are ignored.

        Raises:
            ValueError: something is missing or has another type; the message says where.
        """
        engines = content.get("engines")
        if isinstance(engines, list):
            engines = [_decided(entry, entry.get("role")) if isinstance(entry, Mapping) else entry for entry in engines]
        return from_json(cls, {**_decided(content, None), "engines": engines})

    def engine(self, name: str) -> EngineVerdict | None:
        """Return an engine by its name; None if there is none."""
        return next((engine for engine in self.engines if engine.name == name), None)


def _decided(judged: Mapping[str, Any], role: str | None) -> Mapping[str, Any]:
    """Add `decides` to each check in a table of an older file."""
    checks = judged.get("checks")
    if not isinstance(checks, list):
        return judged
    told = [{**check, "decides": is_deciding(check, role)} if isinstance(check, Mapping) else check for check in checks]
    return {**judged, "checks": told}
