"""The state of the server process that an engine talks to."""

from dataclasses import dataclass, field
from typing import Any

from soakd.live.status.parts import LONGEST_NAME, Chained, keep, printable
from soakd.wire.records import SERVER_DOWN, Incident, Record, Sample, ServerStart

KINDS = frozenset({"opa", "redis"})


@dataclass(slots=True, kw_only=True)
class ServerStatus:
    """The state of one server. Unknown values are None or absent, never 0."""

    kind: str
    """opa, redis or other."""
    up: bool | None = None
    life: int = 0
    """Number of its current process, from 0."""
    version: str | None = None
    pid: int | None = None
    address: str | None = None
    backend: str | None = None
    """"private" where soakd started it, "url" where it was there before."""
    latest: dict[str, float] = field(default_factory=dict)
    """Signal -> last reading of this life, in the unit at the end of its name."""
    cpu_s: Chained | None = None
    restarts: int = 0
    recovery_s: float | None = None
    """The last time from its exit, or its first unanswered request, until it answered again."""

    def take(self, record: Record) -> None:
        """Add one record of this server."""
        if isinstance(record, Incident):
            self._take_incident(record)
        elif record.segment < self.life:
            return  # from an earlier life
        elif isinstance(record, ServerStart):
            self._begin(record)
        elif isinstance(record, Sample):
            self._take_sample(record)

    def as_dict(self) -> dict[str, Any]:
        """Return the state as JSON types."""
        return {
            "server": self.kind, "up": self.up, "life": self.life, "version": self.version, "pid": self.pid,
            "address": self.address, "backend": self.backend, "latest": dict(self.latest),
            "cpu_s_total": self.cpu_s.total if self.cpu_s else None, "restarts": self.restarts,
            "recovery_s": self.recovery_s,
        }  # fmt: skip

    def _begin(self, start: ServerStart) -> None:
        self._enter(start.segment)
        self.up, self.pid = True, start.pid
        self.version, self.address, self.backend = map(_shown, (start.version, start.address, start.backend))

    def _take_incident(self, incident: Incident) -> None:
        if incident.what == "server_restart":
            self.restarts += 1
        elif incident.what == "server_recovered":
            self.up = True
            self.recovery_s = self.recovery_s if incident.recovery_s is None else float(incident.recovery_s)
        elif incident.what in SERVER_DOWN:
            self.up = False

    def _take_sample(self, sample: Sample) -> None:
        self._enter(sample.segment)
        self.latest.clear()  # unknown if it could not be read this time
        for name, value in sample.readings.items():
            if name == "cpu_s_total":
                self.cpu_s = self.cpu_s or Chained()
                self.cpu_s.read(value)
            elif not name.startswith("probe."):
                keep(self.latest, name, value)

    def _enter(self, life: int) -> None:
        if life > self.life:
            self.life = life
            self.latest.clear()
            if self.cpu_s is not None:
                self.cpu_s.restart()


def kind_of(record: Record) -> str | None:
    """Return the kind of server that a record is about; None if it does not say."""
    named = record.server if isinstance(record, Incident | Sample | ServerStart) else None
    return None if named is None else named if named in KINDS else "other"


def _shown(text: str | None) -> str | None:
    return None if text is None else printable(text, LONGEST_NAME)
