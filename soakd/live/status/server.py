"""The state of the server process that an engine talks to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from soakd.live.status.parts import LONGEST_NAME, Chained, is_number, keep, printable
from soakd.wire.records import Record

KINDS = frozenset({"opa", "redis"})
DOWN = frozenset({"server_start_failed", "server_crash", "server_hang", "server_gave_up"})
"""Incidents after which a server does not answer."""


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
        if record.kind == "incident":
            self._take_incident(record.body)
        elif record.segment < self.life:
            return  # from an earlier life
        elif record.kind == "server":
            self._begin(record)
        else:
            self._take_sample(record)

    def as_dict(self) -> dict[str, Any]:
        """Return the state as JSON types."""
        return {
            "server": self.kind, "up": self.up, "life": self.life, "version": self.version, "pid": self.pid,
            "address": self.address, "backend": self.backend, "latest": dict(self.latest),
            "cpu_s_total": self.cpu_s.total if self.cpu_s else None, "restarts": self.restarts,
            "recovery_s": self.recovery_s,
        }  # fmt: skip

    def _begin(self, record: Record) -> None:
        self._enter(record.segment)
        body = record.body
        self.up = True
        self.version, self.address, self.backend = (_text(body, key) for key in ("version", "address", "backend"))
        pid = body.get("pid")
        self.pid = pid if type(pid) is int else None

    def _take_incident(self, body: Mapping[str, Any]) -> None:
        what = body["what"]
        if what == "server_restart":
            self.restarts += 1
        elif what == "server_recovered":
            self.up = True
            if is_number(body.get("recovery_s")):
                self.recovery_s = float(body["recovery_s"])
        elif what in DOWN:
            self.up = False

    def _take_sample(self, record: Record) -> None:
        self._enter(record.segment)
        self.latest.clear()  # unknown if it could not be read this time
        for name, value in record.body.items():
            if not is_number(value) or name.startswith("probe."):
                continue
            if name == "cpu_s_total":
                self.cpu_s = self.cpu_s or Chained()
                self.cpu_s.read(value)
            else:
                keep(self.latest, name, value)

    def _enter(self, life: int) -> None:
        if life > self.life:
            self.life = life
            self.latest.clear()
            if self.cpu_s is not None:
                self.cpu_s.restart()


def kind_of(record: Record) -> str | None:
    """Return the kind of server that a record is about; None if it does not say."""
    named = record.body.get("server")
    return None if named is None else named if named in KINDS else "other"


def _text(body: Mapping[str, Any], key: str) -> str | None:
    value = body.get(key)
    return None if value is None else printable(value, LONGEST_NAME)
