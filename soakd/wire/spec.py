"""Frozen values that cross rooms: what a worker is told, what drives an engine, what a phase is.

Both stacks (daemon and worker) stand on this module; it imports the standard library only.
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

Role = Literal["subject", "rival", "twin", "control"]
PhaseName = Literal["baseline", "load", "drain", "reload", "close"]
Verb = Literal["read", "write", "admin"]
LOADED_PHASES: frozenset[PhaseName] = frozenset({"load", "reload"})
DECIDING_ROLES: tuple[Role, ...] = ("subject", "twin")
LOOK_PROCESS = b"soakd-look"
"""What a child is called that a probe forks from a worker, by prctl(2): it is none of the engine's."""


class Operation(NamedTuple):
    """One operation of the tape. Engines read what they need and ignore the rest.

    A cache reads `verb`, `key` and `size_bytes`; a policy engine decides on `input`; anybody's own operation may
    take all of it.
    """

    verb: Verb
    key: str
    input: Mapping[str, Any]
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A stretch of a run, in seconds since the run's origin (the moment when every engine stood ready)."""

    name: PhaseName
    start_s: float
    end_s: float

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.end_s - self.start_s


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSpec:
    """Everything one worker process needs to know; travels as JSON on its standard input's place, the control pipe.

    `rate_per_s` and `profile` make the arrivals; `mix` the tape. `collect_every_s` and `snapshot_every_s` are None
    where forking is not wanted. `segment` counts the lives of the engine's process from 0.
    """

    engine: str
    kind: str
    role: Role
    segment: int
    seed: int
    rate_per_s: float
    profile: str
    mix: str
    in_flight: int
    phases: tuple[Phase, ...]
    sample_every_s: float
    collect_every_s: float | None
    snapshot_every_s: float | None
    latency_every_s: float
    options: Mapping[str, Any] = field(default_factory=dict)
    factory: str | None = None
    path: tuple[str, ...] = ()
    peers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """For `authorize`: the engines that it names, as {name: {"kind": ..., "options": ...}}."""
    site_packages: tuple[str, ...] = ()
    """Where soakd's own packages are; only a forked snapshot child appends them to `sys.path`."""

    def to_json(self) -> str:
        """Write the spec as one line of JSON."""
        return json.dumps(dataclasses.asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "WorkerSpec":
        """Read what `to_json` wrote.

        Raises:
            ValueError, KeyError, TypeError: not a worker spec.
        """
        fields = json.loads(text)
        fields["phases"] = tuple(Phase(**phase) for phase in fields["phases"])
        fields["path"] = tuple(fields["path"])
        fields["site_packages"] = tuple(fields["site_packages"])
        return cls(**fields)
