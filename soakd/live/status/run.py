"""The state of a run so far: records, added as they are committed, and the judge's verdict."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from soakd.live.status.engine import EngineStatus
from soakd.live.status.history import KEPT_OF_OWN, History, units_of
from soakd.live.status.parts import count_incident, keep
from soakd.live.status.timeline import Timeline
from soakd.setup.plan import EnginePlan, Plan
from soakd.verdict.check import Check
from soakd.verdict.codec import to_json
from soakd.verdict.severity import State, worst_known
from soakd.verdict.types import Comparison, Controls, Verdict
from soakd.wire.records import End, FaultIncident, Incident, Origin, Record, Sample, Unreadable

LATE_S = 2.0
"""A sample counts as missing this long after the next one was due: batches take up to a second."""


class RunStatus:
    """The state of a run, and of each engine in the plan's order."""

    def __init__(self, plan: Plan, run_id: str) -> None:
        self.plan = plan
        self.run_id = run_id
        self.engines: dict[str, EngineStatus] = {e.config.name: _new_engine(e) for e in plan.engines}
        self.origin_s: float | None = None
        """CLOCK_MONOTONIC and wall-clock seconds at the time when every engine was ready."""
        self.origin_wall_s: float | None = None
        self.end_s: float | None = None
        self.last_sample_wall_s: float | None = None
        self.own: dict[str, float] = {}
        """The last readings of the daemon itself."""
        self.served_at: str | None = None
        """The address of the page; the metrics are below it."""
        self.state: State | None = None
        """The verdict from the judge: INCOMPLETE while the run is live."""
        self.summary: str | None = None
        self.checks: dict[str, Check] = {}
        """Check id -> a check of the run itself, from the verdict, with `decides`."""
        self.faults: Counter[str] = Counter()
        """Kind of a fault on purpose -> number of faults so far."""
        self.fault_recovery_s: dict[tuple[str, str], float] = {}
        """Engine and name of a fault -> time of its last recovery."""
        self.notifications: Counter[tuple[str, str]] = Counter()
        """Channel and outcome -> number of [notify] events."""
        self.unreadable = 0
        """Records that could not be understood."""
        self.own_history = History(plan.config.run.sample_every_s)
        """The series of the daemon itself and of its host."""
        self.timeline = Timeline()
        self.verdicts = 0
        """Number of verdicts from the judge."""
        self.ended_for: str | None = None
        """Why the run ended; None while it is live."""
        self.controls: Controls | None = None
        self.comparisons: tuple[Comparison, ...] = ()
        """Comparisons of a subject with a rival or twin, from the verdict."""
        self._counts_samples = True
        self._judged_coverage: float | None = None
        self.judged_s: float | None = None
        """How much of the plan the judge had seen at its last answer, in seconds."""
        self._incidents: Counter[str] = Counter()

    def fold(self, records: Sequence[Record]) -> None:
        """Add a committed batch; records that cannot be understood are counted and left out."""
        for record in records:
            self.unreadable += isinstance(record, Unreadable)
            try:
                self._take(record)
            except ValueError:  # a histogram that is none, a phase without a name
                self.unreadable += 1

    def resume(self) -> None:
        """Mark every process as gone, and restart the count of samples, as not all were read; see `count`."""
        self.count_no_samples()
        for engine in self.engines.values():
            engine.slots, engine.up = 0, False
            if engine.server is not None:
                engine.server.up = False

    def count_no_samples(self) -> None:
        """Disable the count of samples, because not all of them are read; the judge's coverage is shown instead."""
        self._counts_samples = False

    def count(self, samples: Mapping[str, int]) -> None:
        """Add the number of samples of each engine before `resume`."""
        self._counts_samples = True
        for name, count in samples.items():
            self.engines[name].slots += count

    def recall(self, past: "RunStatus") -> None:
        """Add the earlier series and snapshots, from a status that was read from this run's journal."""
        self.own_history.add(past.own_history)
        for name, engine in self.engines.items():
            engine.history.add(past.engines[name].history)
            engine.heap.add(past.engines[name].heap)

    def apply_verdict(self, verdict: Verdict) -> None:
        """Apply a verdict of the judge, so far or final."""
        self.verdicts += 1
        self.state, self.summary = verdict.verdict, verdict.summary
        if verdict.run is not None:
            self.judged_s, self._judged_coverage = verdict.run.observed_seconds, verdict.run.coverage_ratio
        self.controls, self.comparisons = verdict.controls, verdict.comparisons
        self.checks = {check.id: check for check in verdict.checks}
        for found in verdict.engines:
            if (engine := self.engines.get(found.name)) is not None:
                engine.apply(found)

    @property
    def phase(self) -> str | None:
        """The phase that most engines are in; None before the first one is in a phase."""
        phases = Counter(engine.phase for engine in self.engines.values() if engine.phase)
        return phases.most_common(1)[0][0] if phases else None

    @property
    def state_so_far(self) -> State | None:
        """The worst answer so far among the engines that decide, or the final verdict."""
        if self.state not in (None, "INCOMPLETE"):
            return self.state
        return worst_known(engine.deciding_so_far for engine in self.engines.values())

    @property
    def incidents(self) -> Counter[str]:
        """Incidents of engines, run and host, by kind."""
        return sum((engine.incidents for engine in self.engines.values()), Counter(self._incidents))

    def elapsed_s(self, now_s: float) -> float | None:
        """Seconds from the origin until now or the end; None before the origin."""
        if self.origin_s is None:
            return None
        return max(0.0, (now_s if self.end_s is None else self.end_s) - self.origin_s)

    def remaining_s(self, now_s: float) -> float | None:
        """Seconds left in the plan; None before the origin."""
        elapsed_s = self.elapsed_s(now_s)
        return None if elapsed_s is None else max(0.0, self.plan.duration_s - elapsed_s)

    def coverage_ratio(self, now_s: float) -> float | None:
        """The share of the samples due so far that were received, over all engines; None while none was due."""
        elapsed_s = self.elapsed_s(now_s)
        if elapsed_s is None or not self._counts_samples:
            return self._judged_coverage
        due = came = 0
        for engine in self.plan.engines:
            known_s = min(elapsed_s, engine.phases[-1].end_s) - engine.sample_every_s - LATE_S
            slots = max(0, int(known_s / engine.sample_every_s))
            due += slots
            came += min(slots, self.engines[engine.config.name].slots)
        return came / due if due else None

    def run_as_dict(self, now_s: float) -> dict[str, Any]:
        """Return the state of the run itself as JSON types."""
        run = self.plan.config.run
        return {
            "run": self.run_id, "name": run.name, "phase": self.phase, "state": self.state,
            "state_so_far": self.state_so_far, "summary": self.summary,
            "started_at_wall_s": self.origin_wall_s, "elapsed_s": self.elapsed_s(now_s),
            "remaining_s": self.remaining_s(now_s), "planned_s": self.plan.duration_s,
            "ended_for": self.ended_for,
            "phases": [{"name": p.name, "start_s": p.start_s, "end_s": p.end_s} for p in self.longest.phases],
            "faults_planned": [
                {"fault": fault.name, "kind": fault.kind, "target": fault.target, "at_s": fault.at_s}
                for fault in self.plan.faults
            ],
            "sample_every_s": run.sample_every_s, "judge_every_s": self.plan.judge_every_s,
            "coverage_ratio": self.coverage_ratio(now_s), "last_sample_wall_s": self.last_sample_wall_s,
            "incidents": dict(self.incidents), "incidents_total": self.timeline.total, "verdicts": self.verdicts,
            "judged_s": self.judged_s,
            "checks": [check.as_dict() for check in self.checks.values()],
            "controls": to_json(self.controls) or {}, "comparisons": to_json(self.comparisons),
            "own": dict(self.own), "own_signals": dict(units_of(self.own_history.signals)),
            "unreadable_records": self.unreadable,
        }  # fmt: skip

    def as_dict(self, now_s: float) -> dict[str, Any]:
        """Return the whole state as JSON types."""
        return {**self.run_as_dict(now_s), "engines": [engine.as_dict() for engine in self.engines.values()]}

    @property
    def longest(self) -> EnginePlan:
        """The engine with the longest plan: its phases are those of the run."""
        return max(self.plan.engines, key=lambda engine: engine.phases[-1].end_s)

    def _take(self, record: Record) -> None:
        if isinstance(record, Incident):
            self.timeline.take(record, self.origin_s)
        if isinstance(record, Sample) and record.engine:
            self.last_sample_wall_s = max(record.at.wall_s, self.last_sample_wall_s or 0.0)
        if record.engine:
            if (engine := self.engines.get(record.engine)) is not None:
                engine.take(record, self.origin_s)
                self._take_fault(record)
            return
        match record:
            case Sample():
                self._take_own(record)
            case Incident(what=what):
                count_incident(self._incidents, what)
            case Origin(mono_s=mono_s):
                self.origin_s, self.origin_wall_s = float(mono_s), record.at.wall_s
            case End(reason=reason):
                self.end_s, self.ended_for = record.at.mono_s, str(reason)

    def _take_own(self, sample: Sample) -> None:
        t_s = None if self.origin_s is None else sample.at.mono_s - self.origin_s
        for name, value in sample.readings.items():
            keep(self.own, name, value)
            if t_s is not None and name in KEPT_OF_OWN:
                self.own_history.put(name, t_s, value)
            elif t_s is not None and name == "cpu_s_total":
                self.own_history.count(name, t_s, value)

    def _take_fault(self, record: Record) -> None:
        """Take in a fault on purpose, where the record is of one: its name and kind are those of the plan then."""
        if not isinstance(record, FaultIncident):
            return
        fault, kind = record.fault or "", record.kind_of_fault or ""
        if (fault, kind) not in {(planned.name, planned.kind) for planned in self.plan.faults}:
            return
        if record.what == "fault_begin":
            self.faults[kind] += 1
        elif (recovered_s := record.told.get("recovered_s")) is not None:
            self.fault_recovery_s[record.engine, fault] = float(recovered_s)


def _new_engine(plan: EnginePlan) -> EngineStatus:
    config = plan.config
    return EngineStatus(
        name=config.name, kind=config.kind, role=config.role, target_per_s=plan.rate_per_s,
        sample_every_s=plan.sample_every_s, twin_of=config.twin_of,
        load_s=(plan.load.start_s, plan.load.end_s),
    )  # fmt: skip
