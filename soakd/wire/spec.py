"""The specification of a worker: its engine, operations and phases, as frozen values.

Daemon and worker both use this module; it imports the standard library only.
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
"""The name (prctl(2)) of a child that a probe forks from a worker, to tell it from the engine's own children."""


class Operation(NamedTuple):
    """One operation of the tape. Engines read what they need and ignore the rest.

    A cache reads `verb`, `key` and `size_bytes`; a policy engine decides on `input`; a user's operation may use all of
    them.
    """

    verb: Verb
    key: str
    input: Mapping[str, Any]
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A phase of a run, in seconds since the run's origin, when every engine was ready."""

    name: PhaseName
    start_s: float
    end_s: float

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.end_s - self.start_s


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSpec:
    """Everything that one worker process needs to know; sent as JSON through the control pipe.

    `rate_per_s` and `profile` determine the arrivals, `mix` the tape. `collect_every_s` and `snapshot_every_s` are None
    if forking is not wanted. `segment` counts the lives of the engine's process from 0.
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
    """The folders of soakd's own packages; only a forked snapshot child appends them to `sys.path`."""

    def to_json(self) -> str:
        """Write the spec as one line of JSON."""
        return json.dumps(dataclasses.asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "WorkerSpec":
        """Decode the output of `to_json`.

        Raises:
            ValueError, KeyError, TypeError: it is not a worker spec.
        """
        fields = json.loads(text)
        fields["phases"] = tuple(Phase(**phase) for phase in fields["phases"])
        fields["path"] = tuple(fields["path"])
        fields["site_packages"] = tuple(fields["site_packages"])
        return cls(**fields)
