"""What faults act on, and what is known of it: servers, workers, proxies, who is under load."""

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
from soakd.wire.records import Record
from soakd.wire.spec import LOADED_PHASES

Sink = Callable[[Record], None]


class Server(Protocol):
    """A server of soakd's own."""

    life: int
    last_answer_s: float

    def harm(self, number: signal.Signals, harm: Harm) -> int | None:
        """Signal it on purpose; its pid, or None where it is not there."""

    def go_on(self) -> None:
        """Let it go on where a signal has stopped it."""

    def mend(self) -> None:
        """Let it go on, and count what happens to it as its own again."""


class FaultOrders(Protocol):
    """The workers of the run."""

    def send_order(self, name: str, order: Mapping[str, Any]) -> bool:
        """Send an order to a worker; False where there is none."""

    def harm(self, name: str, number: signal.Signals, harm: Harm) -> int | None:
        """Signal a worker on purpose; its pid, or None where it is not there."""

    def go_on(self, name: str) -> None:
        """Let a worker go on where a signal has stopped it."""

    def mend(self, name: str) -> None:
        """Let it go on, and count what happens to it as its own again."""


@dataclass(slots=True)
class Scene:
    """The run as faults see it."""

    plan: Plan
    sink: Sink
    servers: Mapping[str, Any]
    """Engine -> its server, as soakd watches it."""
    proxies: dict[str, ProxyProcess] = field(default_factory=dict)
    loaded: dict[str, int] = field(default_factory=dict)
    """Engine -> the segment of its worker that is under load."""
    segments: dict[str, int] = field(default_factory=dict)
    watch: FaultReports | None = None
    """Of the fault that is on."""

    def note(self, record: Record) -> None:
        """Take a record on its way to the journal."""
        if record.kind == "hello":
            self.segments[record.engine] = record.segment
            self.loaded.pop(record.engine, None)
        elif record.kind == "phase" and record.engine:
            self.loaded.pop(record.engine, None)
            if record.body.get("name") in LOADED_PHASES:
                self.loaded[record.engine] = record.segment
        if self.watch is not None and record.kind in ("fault", "incident"):
            self.watch.note(record)

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
        """Say that a fault did not take place."""
        body = {"took_place": False, "detail": f"{fault.name} did not take place: {why}"}
        self.record(fault, "fault_end", body)

    def incident(self, engine: str, body: Mapping[str, Any]) -> None:
        """Write an incident of an engine."""
        self.sink(Record(kind="incident", engine=engine, segment=self.segment(engine), at=proc.now(), body=body))
