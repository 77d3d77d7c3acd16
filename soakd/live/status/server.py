"""What is known of the server process that an engine talks to."""

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
    """What is known of one server. Values that are not known are None or absent, never 0."""

    kind: str
    """opa or redis; "other" for what is neither."""
    up: bool | None = None
    life: int = 0
    """Number of its present process, from 0."""
    version: str | None = None
    pid: int | None = None
    address: str | None = None
    backend: str | None = None
    """"private" where soakd started it, "url" where it was there before."""
    latest: dict[str, float] = field(default_factory=dict)
    """Signal -> last reading of this life, in the unit that the name ends in."""
    cpu_s: Chained | None = None
    restarts: int = 0
    recovery_s: float | None = None
    """How long it last took from its end, or its first unanswered question, to its answering again."""

    def take(self, record: Record) -> None:
        """Take in one record of this server."""
        if record.kind == "incident":
            self._take_incident(record.body)
        elif record.segment < self.life:
            return  # of a life that is over
        elif record.kind == "server":
            self._begin(record)
        else:
            self._take_sample(record)

    def as_dict(self) -> dict[str, Any]:
        """Say the same in JSON's types."""
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
        self.latest.clear()  # what could not be read this time is not known
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
    """Return what sort of server a record is about; None where it does not say."""
    named = record.body.get("server")
    return None if named is None else named if named in KINDS else "other"


def _text(body: Mapping[str, Any], key: str) -> str | None:
    value = body.get(key)
    return None if value is None else printable(value, LONGEST_NAME)
