"""What faults act on: servers, workers and proxies, and which workers are under load."""

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from soakd.daemon.faults.proxies import ProxyProcess
from soakd.daemon.faults.reports import FaultReports
from soakd.daemon.workers.restarts import Harm
from soakd.procs import proc
from soakd.setup.faults import FaultPlan
from soakd.setup.plan import EnginePlan, Plan
from soakd.wire.records import Phase, Record, make_record
from soakd.wire.spec import LOADED_PHASES


class Server(Protocol):
    """A server of soakd's own."""

    life: int
    last_answer_s: float

    def harm(self, number: signal.Signals, harm: Harm) -> int | None:
        """Signal it on purpose; return its pid, or None if it does not run."""

    def go_on(self) -> None:
        """Let it go on if a signal has stopped it."""

    def mend(self) -> None:
        """Let it go on; what happens to it from now on is no doing of a fault."""


class FaultOrders(Protocol):
    """The workers of the run."""

    def send_order(self, name: str, order: Mapping[str, Any]) -> bool:
        """Send an order to a worker; return False if there is none."""

    def harm(self, name: str, number: signal.Signals, harm: Harm) -> int | None:
        """Signal a worker on purpose; return its pid, or None if it does not run."""

    def go_on(self, name: str) -> None:
        """Let a worker go on if a signal has stopped it."""

    def mend(self, name: str) -> None:
        """Let it go on; what happens to it from now on is no doing of a fault."""


@dataclass(slots=True)
class FaultTargets:
    """The targets of a run."""

    plan: Plan
    put: Callable[[Record], None]
    """Takes the records."""
    servers: Mapping[str, Any]
    """Engine -> its server, as soakd watches it."""
    proxies: dict[str, ProxyProcess] = field(default_factory=dict)
    loaded: dict[str, int] = field(default_factory=dict)
    """Engine -> the segment of its worker that is under load."""
    segments: dict[str, int] = field(default_factory=dict)
    reports: FaultReports | None = None
    """Of the fault that is on."""

    def note(self, record: Record) -> None:
        """Take in a record on its way to the journal."""
        if record.kind == "hello":
            self.segments[record.engine] = record.segment
            self.loaded.pop(record.engine, None)
        elif isinstance(record, Phase) and record.engine:
            self.loaded.pop(record.engine, None)
            if record.name in LOADED_PHASES:
                self.loaded[record.engine] = record.segment
        if self.reports is not None:
            self.reports.note(record)

    def engine(self, name: str) -> EnginePlan:
        """Return an engine of the plan."""
        return next(engine for engine in self.plan.engines if engine.config.name == name)

    def segment(self, name: str) -> int:
        """Return the present life of an engine's process."""
        return self.segments.get(name, 0)

    def record(self, fault: FaultPlan, what: str, body: Mapping[str, Any]) -> None:
        """Write a record of a fault."""
        about = {
            "fault": fault.name, "number": fault.number, "kind": fault.kind, "target": fault.target, "on": fault.on,
            "at_s": fault.at_s,
        }  # fmt: skip
        self.incident(fault.target, {"what": what, **about, **body})

    def record_missed(self, fault: FaultPlan, why: str) -> None:
        """Record that a fault did not take place."""
        body = {"took_place": False, "detail": f"{fault.name} did not take place: {why}"}
        self.record(fault, "fault_end", body)

    def incident(self, engine: str, body: Mapping[str, Any]) -> None:
        """Write an incident of an engine."""
        self.put(make_record("incident", engine=engine, segment=self.segment(engine), at=proc.now(), body=body))
