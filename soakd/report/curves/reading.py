"""Journal -> curves, in one pass. Memory does not grow with the length of the run.

Curves are thinned to the columns of a chart while they are read, and what the growth method reads to a few thousand
readings a signal. The verdict's numbers come from the verdict file.
"""

from collections.abc import Iterator
from dataclasses import replace

from soakd.judge.story.assemble import assemble
from soakd.judge.story.cache_fill import ENTRIES
from soakd.judge.story.rundata import EngineData, RunData
from soakd.record.recording import Recording
from soakd.record.run_folder import RunDir
from soakd.report.curves.fits import fits_of
from soakd.report.curves.heaps import Heaps
from soakd.report.curves.signals import Signals
from soakd.report.curves.values import Curves, EngineCurves, FaultSpan, Span
from soakd.setup.plan import Plan
from soakd.verdict.types import EngineVerdict, Verdict
from soakd.wire.records import SERVER, Latency, Record, Sample, Snapshot
from soakd.wire.signal_sums import PYMALLOC_OFF, RESIDENT_PARTS, SUMS

COLUMNS = 320
"""Columns of a chart: more cannot be distinguished in print."""
FITTED = 6000
"""Readings of a signal that the growth method gets."""
KINDS = ("hello", "phase", "sample", "latency", "incident", "bye", "snapshot", "server")
KEPT = ("operations_total", "reachable_forked_at_s", PYMALLOC_OFF, ENTRIES)


def read_curves(run: RunDir, verdict: Verdict) -> Curves:
    """Read the curves of a run.

    Args:
        run: its folder.
        verdict: its verdict.

    Raises:
        JournalError: the journal cannot be read, or holds no run.
    """
    recording = Recording.open(run)
    plan, origin = recording.plan, recording.origin
    if origin is None:
        return Curves(until_s=plan.duration_s)
    reading = _Reading(plan, float(origin.mono_s))
    data = assemble(plan, reading.passed_on(recording.records(*KINDS)))
    return reading.curves(data, verdict)


class _Reading:
    """One pass over the records of a run."""

    def __init__(self, plan: Plan, origin_s: float) -> None:
        self._plan, self._origin_s = plan, origin_s
        self._own = Signals(origin_s, plan.duration_s, COLUMNS)
        self._signals = {e.config.name: Signals(origin_s, plan.duration_s, COLUMNS) for e in plan.engines}
        self._heaps = {e.config.name: Heaps(origin_s, e.load) for e in plan.engines}
        self._least_step_s = plan.duration_s / FITTED
        self._kept_s: dict[tuple[str, object, bool, int], float] = {}

    def passed_on(self, records: Iterator[Record]) -> Iterator[Record]:
        """Take in each record, and yield those from which lives, faults and growth are assembled."""
        for record in records:
            signals = self._signals.get(record.engine) if record.engine else self._own
            if signals is None:
                continue
            match record:
                case Sample():
                    signals.sample(record)
                    if record.engine and self._is_for_fits(record):
                        yield _lean(record)
                case Latency():
                    signals.latency(record)
                case Snapshot():
                    self._heaps[record.engine].add(record)
                case _:
                    yield record

    def curves(self, data: RunData, verdict: Verdict) -> Curves:
        """Return the curves."""
        faults = [
            FaultSpan(fault.name, fault.from_s, fault.until_s or fault.from_s, fault.target, fault.touches)
            for fault in data.faults
            if fault.took_place and fault.from_s is not None
        ]
        return Curves(
            until_s=self._plan.duration_s, start_wall_s=data.origin.at.wall_s if data.origin else None,
            phases={e.name: [Span(p.name, p.start_s, p.end_s) for p in e.plan.phases] for e in data.engines},
            lives={e.name: list(self._lives(e, data)) for e in data.engines},
            faults=faults,
            engines={e.name: self._engine(e, verdict.engine(e.name)) for e in data.engines},
            own=EngineCurves(bands=self._own.bands()),
        )  # fmt: skip

    def _engine(self, data: EngineData, engine: EngineVerdict | None) -> EngineCurves:
        found = [] if engine is None else list(fits_of(data, engine))
        heaps = self._heaps[data.name]
        return EngineCurves(
            bands=self._signals[data.name].bands(), fits={f.signal: f.fits for f in found},
            adjusted={f.signal: f.adjusted for f in found if f.adjusted is not None},
            levels={f.signal: f.level for f in found}, heap=heaps.heap(), snapshots_failed=heaps.failed,
        )  # fmt: skip

    def _lives(self, data: EngineData, run: RunData) -> Iterator[Span]:
        """Place lives on the run's time axis: their ends are recorded in wall time, which the host's clock may step."""
        if run.origin is None:
            return
        for life in data.lives:
            ended_s = run.last_s if life.end_wall_s is None else life.end_wall_s - run.origin.at.wall_s
            yield Span(life.ended_by, max(0.0, life.start_wall_s - run.origin.at.wall_s), max(0.0, ended_s))

    def _is_for_fits(self, sample: Sample) -> bool:
        """Thin the samples of a long run; those with reachable bytes separately, as they are rare."""
        if sample.source == SERVER:
            return False
        key = (sample.engine, sample.source, "reachable_native_bytes" in sample.readings, sample.segment)
        if sample.at.mono_s - self._kept_s.get(key, float("-inf")) < self._least_step_s:
            return False
        self._kept_s[key] = sample.at.mono_s
        return True


def _lean(sample: Sample) -> Sample:
    """Return a sample with only what the growth method reads."""
    parts = (*KEPT, *RESIDENT_PARTS, *(part for sums in SUMS.values() for part in sums))
    return replace(sample, readings={name: sample.readings[name] for name in parts if name in sample.readings})
