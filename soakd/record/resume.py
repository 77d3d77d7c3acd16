"""The state of a run before this daemon: where it stopped, its clock, and the numbers that are taken.

Everything comes from the journal. The lives of the daemon are numbered too, from 0: as the segment of the run's own
records.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from soakd.record import journal
from soakd.record.clocks import ClockShift, clock_shifts, on_one_clock
from soakd.record.recording import Recording
from soakd.setup.plan import Plan, longest_gap_s
from soakd.wire.records import (
    LIFE_ENDS,
    End,
    Hello,
    Incident,
    Left,
    Record,
    Resumed,
    Stamp,
    is_of_a_server,
    make_record,
    moved,
)

# Every query uses the index over engine and kind: nine in ten records are samples, millions in a long run.
_TOLD = "SELECT id FROM record WHERE engine = ? AND kind IN ('hello', 'incident', 'bye', 'server')"
_TOLD_OF_RUN = "SELECT id FROM record WHERE engine = '' AND kind IN ('incident', 'phase')"
_LAST_SAMPLES = (
    """SELECT (SELECT id FROM told WHERE engine = :engine AND kind = 'sample' AND id < life.id
        AND instr(COALESCE(said, body), '"source":') = 0 ORDER BY id DESC LIMIT 1)
    FROM record AS life WHERE engine = :engine AND kind = 'hello'""",
    """SELECT id FROM told WHERE engine = :engine AND kind = 'sample' AND instr(COALESCE(said, body), '"source":') = 0
    ORDER BY id DESC LIMIT 1""",
)
"""Queries for every life of an engine but the latest, and for the latest."""
_SAMPLES = """
SELECT COUNT(*) FROM told WHERE engine = ? AND kind = 'sample' AND id <= ?
    AND instr(COALESCE(said, body), '"source":') = 0
"""
LAST_SAMPLES = 64
"""The last samples of an engine in which to find the number of its latest life, and its server's: numbers only rise."""
_SPREAD = {"sample": (2048, 8), "latency": (512, 2), "snapshot": (32, 1)}
"""Kind -> the number of places in a run, and of consecutive records at each, to read for its series."""
MOST_TOLD = 20_000
"""The most recent records to read for the state that is shown: a storm of incidents must not delay a resume."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """The earlier history of one engine."""

    next_segment: int = 0
    next_server_life: int = 0
    restarts: int = 0
    gave_up: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumption:
    """An unfinished run, which has no sealing record."""

    plan: Plan
    life: int
    """The life number of the daemon; 1 for the first resume."""
    gap_s: float
    """Time from the last record to now."""
    allowed_s: float
    since_wall_s: float
    """Wall time of the last record."""
    at: Stamp
    """The current time, when this was read."""
    boot_id: str | None
    origin_s: float | None
    """The run's origin on this boot's CLOCK_MONOTONIC; None if the engines were never ready."""
    handover: ClockShift
    engines: Mapping[str, Past]
    records: int
    """The number of the last record."""
    left: str | None = None
    """Why the previous daemon left the run in order; None if it did not."""
    changed: tuple[str, ...] = ()
    """The configuration keys that have changed; the run keeps the original ones."""

    @property
    def too_late(self) -> bool:
        """Whether the gap is longer than the plan allows; before the origin nothing is missed."""
        return self.origin_s is not None and self.gap_s > self.allowed_s

    @property
    def left_ratio(self) -> float:
        """The share of the plan that is left."""
        if self.origin_s is None:
            return 1.0
        return min(1.0, max(0.0, 1.0 - (self.at.mono_s - self.origin_s) / self.plan.duration_s))

    def record(self) -> Record:
        """Return the record of the handover between two daemons."""
        body = {
            "name": "resumed", "gap_s": round(self.gap_s, 3), "boot_id": self.boot_id, "origin_mono_s": self.origin_s,
            "since_wall_s": self.since_wall_s, **self.handover.as_dict(),
            **({"config_changed": list(self.changed)} if self.changed else {}),
        }  # fmt: skip
        return make_record("phase", engine="", segment=self.life, at=self.at, body=body)

    def incident(self) -> Record:
        """Return the incident about the time without a daemon, and its reason."""
        why = f"soakd left the run ({self.left})" if self.left else "soakd was gone"
        detail = f"{why} for {self.gap_s:.1f}s; {self.allowed_s:.0f}s are allowed (run.longest_gap)"
        if self.changed:
            detail += f"; the configuration has changed since ({', '.join(self.changed)}), the run goes on as it began"
        body = {"what": "daemon_gap", "gap_s": round(self.gap_s, 3), "detail": detail}
        return make_record("incident", engine="", segment=self.life, at=self.at, body=body)


def is_sealed(path: Path) -> bool:
    """Return whether a journal has its sealing record.

    Raises:
        JournalError: it cannot be read.
    """
    return any(isinstance(record, End) for record in journal.read_records(path, "phase", engine=""))


def look_back(path: Path, at: Stamp, boot_id: str | None) -> Resumption:
    """Read the state of an unfinished run.

    Args:
        path: its journal.
        at: now, on the three clocks.
        boot_id: the kernel's id of this boot; None if unknown, which counts as another boot.

    Raises:
        JournalError: the journal cannot be read, or has no run.
    """
    recording = Recording.of_journal(path)
    meta, plan, phases, before = recording.meta, recording.plan, recording.phases, recording.handovers
    last, last_life = _last_record(path) or at, before[-1].life if before else 0
    same_boot = boot_id is not None and boot_id == _boot_of(phases, meta) and at.mono_s >= last.mono_s
    gap_s = at.mono_s - last.mono_s if same_boot else max(0.0, at.wall_s - last.wall_s)
    engines = {e.config.name: _past(path, e.config.name, last.mono_s, plan) for e in plan.engines}
    previous = before[-1] if before else ClockShift(life=0)
    handover = ClockShift(
        life=last_life + 1,
        segments={name: past.next_segment for name, past in engines.items()},
        server_lives={name: past.next_server_life for name, past in engines.items()},
        shift_s=previous.shift_s if same_boot else previous.shift_s + last.mono_s + gap_s - at.mono_s,
        boot_shift_s=previous.boot_shift_s if same_boot else previous.boot_shift_s + last.boot_s + gap_s - at.boot_s,
    )
    origin = recording.origin
    left = next((r for r in reversed(phases) if type(r) is Left and r.segment == last_life), None)
    return Resumption(
        plan=plan,
        life=handover.life,
        gap_s=gap_s,
        allowed_s=longest_gap_s(plan),
        since_wall_s=last.wall_s,
        at=at,
        boot_id=boot_id,
        origin_s=None if origin is None else origin.mono_s - handover.shift_s,
        handover=handover,
        engines=engines,
        records=journal.read_latest_number(path),
        left=str(left.reason) if left else None,
    )


def replayed(path: Path, resumption: Resumption) -> Iterator[Record]:
    """Yield records to rebuild the shown state of a run, on this boot's clock: few, however long the run."""
    told, last = _ids(path, _TOLD_OF_RUN), []
    for engine in resumption.engines:
        told += _ids(path, _TOLD, (engine,))
        last += [number for query in _LAST_SAMPLES for number in _ids(path, query, {"engine": engine})]
    found = journal.read_by_id(path, [*sorted(told)[-MOST_TOLD:], *last])
    yield from on_this_clock(path, found, resumption)


def spread(path: Path, resumption: Resumption) -> Iterator[Record]:
    """Yield records to rebuild the series of a run, on this boot's clock: a bounded number, spread over the run."""
    yield from on_this_clock(path, journal.read_records(path, "phase", engine=""), resumption)
    for engine in ("", *(one.config.name for one in resumption.plan.engines)):
        for kind, (places, each) in _SPREAD.items():
            found = journal.read_spread(path, kind, engine, places=places, each=each)
            yield from on_this_clock(path, found, resumption)


def on_this_clock(path: Path, records: Iterable[Record], resumption: Resumption) -> Iterator[Record]:
    """Yield records of a run, converted to this boot's clock."""
    before = clock_shifts(journal.read_records(path, "phase", engine=""))
    for record in on_one_clock(records, before):
        yield moved(record, -resumption.handover.shift_s)


def samples_before(path: Path, resumption: Resumption) -> Mapping[str, int]:
    """Count the samples of each engine over all earlier lives. Reads every sample: some seconds for a month."""
    return {name: journal.query(path, _SAMPLES, (name, resumption.records))[0][0] for name in resumption.engines}


def _ids(path: Path, query: str, values: Mapping[str, object] | Sequence[object] = ()) -> list[int]:
    return [row[0] for row in journal.query(path, query, values) if row[0] is not None]


def _boot_of(phases: Iterable[Record], meta: Mapping[str, Any]) -> str | None:
    """Return the boot id of the last daemon."""
    told = [record.boot_id for record in phases if isinstance(record, Resumed)]
    boot: str | None = told[-1] if told else meta.get("environment", {}).get("host", {}).get("boot_id")
    return boot


def _last_record(path: Path) -> Stamp | None:
    """Return the time of the last record: the latest of the last batch; None without records."""
    rows = journal.query(path, "SELECT wall_s, boot_s, mono_s FROM record ORDER BY id DESC LIMIT 50")
    stamps = [Stamp(*row) for row in rows]
    return max(stamps, key=lambda stamp: stamp.mono_s, default=None)


def _past(path: Path, engine: str, last_s: float, plan: Plan) -> Past:
    """Read an engine's history until `last_s`; restarts before a life of `healthy_after` do not count."""
    told = list(journal.read_records(path, "hello", "phase", "incident", "bye", "server", engine=engine))
    samples = [record for _, record in journal.read_latest(path, "sample", engine, LAST_SAMPLES)]
    highest = {False: -1, True: -1}
    for record in (*told, *samples):
        of_server = is_of_a_server(record)
        highest[of_server] = max(highest[of_server], record.segment)
    return Past(
        next_segment=highest[False] + 1, next_server_life=highest[True] + 1,
        restarts=_restarts(told, last_s, plan.config.supervision.healthy_after_s),
        gave_up=any(isinstance(record, Incident) and record.what == "gave_up" for record in told),
    )  # fmt: skip


def _restarts(told: Iterable[Record], last_s: float, healthy_after_s: float) -> int:
    """Count the restarts since the last healthy life."""
    restarts, begun_s = 0, None
    for record in told:
        if isinstance(record, Hello):
            begun_s = record.at.mono_s
        elif not isinstance(record, Incident):
            continue
        elif record.what in LIFE_ENDS:
            if begun_s is not None and record.at.mono_s - begun_s >= healthy_after_s:
                restarts = 0
            begun_s = None
        elif record.what == "restart" and record.fault is None:
            restarts += 1
    return 0 if begun_s is not None and last_s - begun_s >= healthy_after_s else restarts
