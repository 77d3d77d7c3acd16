"""What the worker does between operations: control, samples, forked children, latency records.

The driver calls it when it is due: there is no second thread in the judged process.
"""

from asyncio import AbstractEventLoop
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from soakd.wire import histogram
from soakd.wire.lines import PROBE_DIED
from soakd.wire.spec import Phase, WorkerSpec
from soakd.worker.fault_watch import LOOK_EVERY_S, FaultWatch
from soakd.worker.load import AsyncDriver, Lanes, SyncDriver
from soakd.worker.look_runner import LookRunner
from soakd.worker.pipes import ControlPipe, RecordPipe, now
from soakd.worker.probes import ProbeSet

NS = 1_000_000_000
CONTROL_EVERY_S = 0.1
CHILD_POLL_S = 0.02
RARE_EVERY = 6
"""Every sixth sample has all readings: one a minute where a sample is taken every ten seconds."""
SLOW_PROBE_S = 1e-3
OCTAVE_BITS = {"service": 7, "response": 5, "lateness": 4}
"""Histogram buckets per octave in the journal, as powers of two: service time, which is judged most, is kept to 1 %,
response time to 3 %, and lateness, which is only compared with 10 ms, to 7 %."""
OBSERVED_BITS = dict.fromkeys(OCTAVE_BITS, 3)
"""The same for operations that ran beside a forked child: they are counted, but no quantile is judged or shown."""
MOST_FINDINGS = 20
"""Findings of an engine that are sent per life. The engine has a bound too; this one protects the journal."""
TOTALS = ("operations_total", "errors_total", "dropped_total", "skipped_total")

TakeFindings = Callable[[], list[dict[str, Any]]]


class Housekeeping:
    """Called between operations; says when it wants to be called again."""

    def __init__(self, spec: WorkerSpec, control: ControlPipe, records: RecordPipe, lanes: Lanes) -> None:
        self.phase: Phase | None = None
        self.driver: SyncDriver | AsyncDriver | None = None
        self.loop: AbstractEventLoop | None = None
        """The event loop that awaits operations, for an async engine."""
        self._spec = spec
        self._control = control
        self._records = records
        self._lanes = lanes
        self._counters: Callable[[], Mapping[str, float]] = dict
        self._take_findings: TakeFindings = list
        self._reload_policy: Callable[[], Any] | None = None
        self._fault: FaultWatch | None = None
        self._findings = 0
        self._probes = ProbeSet(
            collect_every_s=spec.collect_every_s,
            snapshot_every_s=spec.snapshot_every_s,
            site_packages=spec.site_packages,
            counters=self._read_counters,
        )
        self._deep = LookRunner(spec.engine, records)
        self._totals = dict.fromkeys(TOTALS, 0)
        self._sample_due_s = 0.0
        self._latency_due_s = 0.0
        self._latency_from_s = 0.0
        self._control_due_s = 0.0
        self._samples = 0
        self.stopping = False

    def begin(
        self, origin_s: float, counters: Any, take_findings: TakeFindings | None = None,
        reload_policy: Callable[[], Any] | None = None,
    ) -> None:  # fmt: skip
        """Start the schedules at the run's origin (CLOCK_MONOTONIC seconds), the same for every engine."""
        mono_s = now().mono_s
        self._counters = counters
        self._take_findings = take_findings or list
        self._reload_policy = reload_policy
        self._sample_due_s = _next_due_s(origin_s, self._spec.sample_every_s, mono_s)
        self._latency_from_s = mono_s
        self._latency_due_s = mono_s + self._spec.latency_every_s

    def enter(self, phase: Phase, driver: SyncDriver | AsyncDriver) -> None:
        """Begin a phase with its driver."""
        self.phase, self.driver = phase, driver
        self._records.send("phase", {"name": phase.name, "start_s": phase.start_s, "end_s": phase.end_s})

    def leave(self) -> None:
        """End a phase: take its last sample, send its latency, and add up its operations."""
        self._deep.leave("the phase ended")
        mono_s = now().mono_s
        self._sample(mono_s)
        self._send_latency(mono_s)
        self._add_totals()
        self.driver = None

    def forget_engine(self) -> None:
        """Drop the last references to the engine's methods."""
        self._counters = dict
        self._take_findings = list
        self._reload_policy = None

    def close(self) -> None:
        """End a deep look and a child that are still running, and report copies of the worker one last time."""
        self._records.copies.end_here()
        self._deep.leave("the worker ended")
        self._probes.close()
        self._report_copies(report_all=True)

    def expect_copy(self) -> None:
        """Make the driver call housekeeping soon in a child that was just forked, so that it exits there."""
        if self.driver is not None:
            self.driver.hasten()
        if self.loop is not None:
            self.loop.call_soon(self._records.copies.end_here)

    def __call__(self, now_ns: int) -> int | None:
        """Do what is due; return the time of the next call (CLOCK_MONOTONIC nanoseconds), or None to stop."""
        self._records.copies.end_here()
        mono_s = now_ns / NS
        if mono_s >= self._control_due_s:
            self._control_due_s = mono_s + (CONTROL_EVERY_S if self._fault is None else LOOK_EVERY_S)
            self._obey(mono_s)
        if self.stopping:
            return None
        self._mind_child(mono_s)
        if self._fault is not None:
            self._tell_of_fault(self._fault.look(mono_s, self._fault_totals()))
        if mono_s >= self._sample_due_s:
            self._sample(mono_s)
            self._sample_due_s = _next_due_s(self._sample_due_s, self._spec.sample_every_s, mono_s)
        if mono_s >= self._latency_due_s:
            self._send_latency(mono_s)
            self._latency_due_s = mono_s + self._spec.latency_every_s
        busy = self._probes.child_alive or self._deep.active
        child_s = mono_s + CHILD_POLL_S if busy else self._sample_due_s
        return int(min(self._control_due_s, self._sample_due_s, self._latency_due_s, child_s) * NS)

    def _read_counters(self) -> Mapping[str, float]:
        return self._counters()

    def _obey(self, mono_s: float) -> None:
        """Carry out the daemon's orders."""
        while not self.stopping and (order := self._control.poll()) is not None:
            if "stop" in order:
                self.stopping = True
            elif "fault" in order:
                self._mind_fault(order["fault"], mono_s)
            elif "snapshot" in order:
                self._probes.ask_for_snapshot(int(order["snapshot"]))
            elif "deep" in order:
                self._deep.order(order["deep"])
            elif "reload_policy" in order and self._reload_policy is not None:
                self._reload_policy()

    def _mind_fault(self, order: Mapping[str, Any], mono_s: float) -> None:
        """Start or stop watching a fault; latencies during the fault go into a record of their own."""
        match order["state"]:
            case "begin":
                self._send_latency(mono_s)
                self._fault = FaultWatch(order, self._fault_totals())
                self._tell_of_fault([self._fault.begun(mono_s)])
            case "healed" if self._fault is not None:
                self._fault.heal()
            case "end" if self._fault is not None:
                self._tell_of_fault([self._fault.end(mono_s, self._fault_totals())])
                self._send_latency(mono_s)
                self._fault = None

    def _tell_of_fault(self, told: Iterable[dict[str, Any]]) -> None:
        for body in told:
            self._records.send("fault", body)

    def _fault_totals(self) -> Mapping[str, float]:
        return {**self._counters(), **self._running_totals()}

    def _mind_child(self, mono_s: float) -> None:
        """Switch latencies to the window's lane while a child or a tool is running: operations are slower then."""
        if self._probes.child_alive:
            snapshot = self._probes.poll_child(mono_s)
            if snapshot is not None:
                self._records.send("snapshot", snapshot)
            for death in self._probes.take_deaths():
                self._records.send("incident", {"what": PROBE_DIED, **death})
        elif not self._deep.disturbs:
            self._lanes.open_window()
            self._probes.start_child_if_due(mono_s)
        if not self._probes.child_alive:  # one child at a time
            phase = self.phase.name if self.phase else None
            self._deep.step(phase, mono_s, self._running_totals()["operations_total"])
        if self._probes.child_alive or self._deep.disturbs:
            self._lanes.open_window()
        else:
            self._lanes.close_window()

    def _send_findings(self) -> None:
        for finding in self._take_findings():
            self._findings += 1
            if self._findings <= MOST_FINDINGS:
                self._records.send("incident", finding)

    def _report_copies(self, *, report_all: bool = False) -> None:
        """Report forked children that returned into soakd's code."""
        if (came_back := self._records.copies.news(report_all=report_all)) is not None:
            self._records.send("incident", came_back)

    def _sample(self, mono_s: float) -> None:
        self._report_copies()
        self._send_findings()
        body: dict[str, Any] = self._without_rare_readings(self._probes.sample(mono_s))
        body.update(self._running_totals())
        body["phase"] = self.phase.name if self.phase else None
        if self._deep.disturbs:
            body["note.deep_window"] = 1.0
        if self._records.dropped:
            body["records_dropped_total"] = self._records.dropped
        self._records.send("sample", body)

    def _without_rare_readings(self, readings: Mapping[str, float]) -> dict[str, float]:
        """Leave out, in most samples, what no check uses: collections, and the times of quick probes.

        They would be a third of the journal.
        """
        self._samples += 1
        if self._samples % RARE_EVERY == 1:
            return dict(readings)
        return {name: value for name, value in readings.items() if not _is_rare_reading(name, value)}

    def _running_totals(self) -> dict[str, float]:
        driver = self.driver
        return {name: self._totals[name] + (getattr(driver, name) if driver else 0) for name in TOTALS}

    def _add_totals(self) -> None:
        self._totals = self._running_totals()  # type: ignore[assignment]

    def _send_latency(self, mono_s: float) -> None:
        for lane, taken in self._lanes.take():
            kept = OBSERVED_BITS if lane == "window" else OCTAVE_BITS
            self._records.send(
                "latency",
                {
                    "phase": self.phase.name if self.phase else None,
                    "window": lane == "window",
                    **({} if self._fault is None else {"fault": self._fault.name}),
                    "from_mono_s": round(self._latency_from_s, 6),
                    **{
                        what: histogram.pack(each, bits) for (what, bits), each in zip(kept.items(), taken, strict=True)
                    },
                },
            )
        self._latency_from_s = mono_s


def _is_rare_reading(name: str, value: float) -> bool:
    return name.startswith("gc_") or (name.endswith(".duration_s") and value < SLOW_PROBE_S)


def _next_due_s(due_s: float, every_s: float, mono_s: float) -> float:
    """Return the next moment of the fixed schedule: a late sample does not shift the following ones."""
    return due_s + every_s * max(1, int((mono_s - due_s) / every_s) + 1)
