"""Records become series. In any order, and each counts once however often it is there.

What is not what it should be - text or NaN in place of a number, a latency that cannot be unpacked - is left out and
counted: `evidence.records` makes such a run INVALID.
"""

import hashlib
import json
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from soakd.judge.story.faults import read_faults
from soakd.judge.story.interruptions import DAEMON_GAP, ends_of_lives, standstills
from soakd.judge.story.latency import LatencyWindow, read_latencies
from soakd.judge.story.looks import is_look, stretches
from soakd.judge.story.readings import LATEST_S, SignalColumns, count_of, is_number, is_reading, once, text
from soakd.judge.story.rundata import ENDINGS, EngineData, ProcessLife, RunData, in_order
from soakd.judge.story.servers import ServerBuilder
from soakd.record.clocks import ClockShift, clock_shifts
from soakd.setup.plan import EnginePlan, Plan
from soakd.wire.records import Record, are_packages
from soakd.wire.sums import SUMS, sum_of

NOT_NUMBERS = ("phase", "source")
"""What a sample holds beside numbers."""
NOT_KEPT = ".duration_s"
"""What a probe cost is for metrics; nothing is judged by it."""
REASONS = ("completed", "interrupted", "failed", "memory_reserve", "longest_gap", "disk_full", "disk_budget")
"""Why a run ended, in the record that seals it."""
DROPPED = ("records_dropped", "events_dropped")
"""Counts of what was lost, in a worker's bye and in a daemon's last record."""
READ_BY_NUMBER = ("sample", "latency")
"""Kinds of which every reading is looked at by itself."""
DECLARED = {"capacity_entries": 1e12, "bytes_per_entry": 1e9, "capacity_bytes": 1e12}
"""What an engine may say of its capacity, and the most that is believed: what no host could hold is no bound."""


def assemble(plan: Plan, records: Iterable[Record]) -> RunData:
    """Sort the records of a run into series. Records of engines that the plan does not have are left out, and said."""
    builders = {engine.config.name: _Builder() for engine in plan.engines}
    own, run, clocks = _Builder(), _RunRecords(), array("d")
    for record in records:
        if record.engine and record.engine not in builders:
            run.strangers.add(record.engine)
            continue
        builder = builders.get(record.engine, own)
        if not _is_sound(record):
            builder.unreadable += 1
        elif record.engine or record.kind == "sample":
            builder.add(record)
            if not record.engine:
                clocks.extend(record.at)
        else:
            run.add(record)
    origin_s = run.origin_s
    resumed = clock_shifts(once(run.resumed))
    engines = [builders[e.config.name].build(e, origin_s, run.end, resumed) for e in plan.engines]
    faults = read_faults(plan, engines, origin_s)
    for engine in engines:
        engine.standstills = standstills(run.incidents, origin_s)
        engine.faults = tuple(fault for fault in faults if fault.took_place and engine.name in fault.touches)
    times = [float(series.t_s[-1]) for e in engines for series in e.series.values() if len(series)]
    mine = own.build(plan.engines[0], origin_s)
    return RunData(
        plan=plan, engines=engines, own=mine if clocks else None,
        incidents=once(run.incidents), origin=run.origin, end=run.end, last_s=max(times, default=0.0),
        last_wall_s=max((b.last_wall_s for b in builders.values() if b.last_wall_s), default=None),
        clocks=_clocks(clocks), unreadable=mine.unreadable + run.unreadable,
        contradictions=tuple(run.contradictions()), handovers=resumed, faults=faults, packages=run.packages(),
        **{name: run.dropped(name) for name in DROPPED},
    )  # fmt: skip


class _RunRecords:
    """The records of the run itself."""

    def __init__(self) -> None:
        self.incidents: list[Record] = []
        self.strangers: set[str] = set()
        self.unreadable = 0
        self._origins: list[Record] = []
        self._ends: list[Record] = []
        self._lefts: list[Record] = []
        self.resumed: list[Record] = []
        self._packages: list[Record] = []

    @property
    def origin(self) -> Record | None:
        """The first one, whatever order they came in."""
        return min(self._origins, key=in_order, default=None)

    @property
    def end(self) -> Record | None:
        """The last one by its clock, whatever order they came in."""
        return max(self._ends, key=in_order, default=None)

    def dropped(self, name: str) -> int:
        """Return how many records its daemons lost, by those that left it and by the one that ended it."""
        last = [*once(self._lefts), *([self.end] if self.end else [])]
        return sum(count_of(record.body, name) for record in last)

    def contradictions(self) -> Iterator[str]:
        """Say what cannot all be true: a run begins once and ends once, and its engines are those of its plan."""
        for what, found in (("origin", once(self._origins)), ("end", once(self._ends))):
            if len(found) > 1:
                said = [str(record.body.get("reason", round(record.at.mono_s, 3))) for record in found]
                yield f"{len(found)} different records of its {what}: {', '.join(said)}"
        if self.strangers:
            yield f"records of engines that its plan does not have: {', '.join(sorted(self.strangers))}"

    def packages(self) -> dict[str, list[dict[str, str]]]:
        """Return the packages of each engine, once for each time that they were read."""
        found: dict[str, list[dict[str, str]]] = {}
        for record in once(self._packages):
            for environment in record.body["environments"]:
                for name in environment["engines"]:
                    found.setdefault(name, []).append(environment["packages"])
        return found

    @property
    def origin_s(self) -> float | None:
        return float(self.origin.body["mono_s"]) if self.origin else None

    def add(self, record: Record) -> None:
        if record.kind == "incident":
            self.incidents.append(record)
        elif record.body.get("name") == "origin":
            if is_number(record.body.get("mono_s"), LATEST_S):
                self._origins.append(record)
            else:
                self.unreadable += 1
        elif record.body.get("name") == "packages":
            if are_packages(record.body.get("environments")):
                self._packages.append(record)
            else:
                self.unreadable += 1
        elif record.body.get("name") == "resumed":
            self.resumed.append(record)
            self.unreadable += not clock_shifts([record])
        elif record.body.get("name") == "left":
            self._lefts.append(record)
        elif record.body.get("name") == "end":
            if record.body.get("reason") in REASONS:
                self._ends.append(record)
            else:
                self.unreadable += 1


class _Builder:
    """The records of one engine, or of the daemon."""

    def __init__(self) -> None:
        self._columns = SignalColumns()
        self._server = ServerBuilder()
        self._windows: dict[bytes, LatencyWindow | None] = {}
        """By what tells a record from others, so that each counts once; None is one that cannot be read."""
        self._incidents: list[Record] = []
        self._marks: list[Record] = []
        self._snapshots: set[tuple[float, int]] = set()
        self._looks: list[Record] = []
        self.unreadable = 0
        self.last_wall_s: float | None = None

    def add(self, record: Record) -> None:
        self.last_wall_s = max(record.at.wall_s, self.last_wall_s or 0.0)
        if ServerBuilder.wants(record):
            self._server.add(record)
        elif record.kind == "sample":
            self._add_sample(record)
        elif record.kind == "latency":
            self._add_window(record)
        elif record.kind == "incident":
            self._incidents.append(record)
        elif record.kind == "bye" or (record.kind == "hello" and type(record.body.get("pid")) is int):
            self._marks.append(record)
        elif record.kind == "hello":
            self.unreadable += 1
        elif record.kind == "attribution" and is_look(record.body):
            self._looks.append(record)
        elif record.kind == "attribution":
            self.unreadable += 1
        elif record.kind == "snapshot":
            self._snapshots.add((record.at.mono_s, record.segment))

    def build(
        self, plan: EnginePlan, origin_s: float | None, end: Record | None = None, resumed: Sequence[ClockShift] = ()
    ) -> EngineData:  # fmt: skip
        self.unreadable += self._server.unreadable
        if origin_s is None:  # nothing has a place in time
            return EngineData(plan=plan, incidents=once(self._incidents), unreadable=self.unreadable)
        windows = [window.since(origin_s) for _, window in sorted(self._windows.items(), key=_in_time) if window]
        marks, incidents, name = once(self._marks), once(self._incidents), plan.config.name
        looks = once(self._looks)
        return EngineData(
            plan=plan, series=self._columns.series(origin_s), latency=windows, incidents=incidents,
            lives=list(_lives(marks, incidents, ends_of_lives(resumed, name))),
            server=self._server.build(origin_s, incidents, end, ends_of_lives(resumed, name, server=True)),
            looks=looks, looked_s=tuple(sorted(set(stretches(looks, origin_s)))),
            snapshots=len(self._snapshots), unreadable=self.unreadable,
            daemon_handovers=tuple(handover.segments.get(name, 0) for handover in resumed),
        )  # fmt: skip

    def _add_sample(self, record: Record) -> None:
        body, mono_s, segment = record.body, record.at.mono_s, record.segment
        forked_s = body.get("reachable_forked_at_s", mono_s)
        if not is_number(forked_s):
            forked_s = mono_s
        for name, value in body.items():
            if name in NOT_NUMBERS or name.endswith(NOT_KEPT):
                continue
            if is_reading(name, value):
                self._columns.add(name, forked_s if name.startswith("reachable_") else mono_s, value, segment)
            else:
                self.unreadable += 1
        for name in SUMS:
            if (total := sum_of(body, name)) is not None:
                self._columns.add(name, forked_s if name == "reachable_bytes" else mono_s, total, segment)

    def _add_window(self, record: Record) -> None:
        # A record is three times as large as what is needed of it.
        name = hashlib.blake2b(repr((float(record.at.mono_s), *in_order(record)[1:])).encode(), digest_size=16).digest()
        if name not in self._windows:
            self._windows[name] = _window(record)
            self.unreadable += self._windows[name] is None


def _is_sound(record: Record) -> bool:
    """Tell whether a record has a place in time, and a body that can be shown."""
    if not all(is_number(seconds, LATEST_S) for seconds in record.at) or not is_number(record.segment):
        return False
    if type(record.body) is not dict or type(record.segment) is not int or record.at.wall_s < 0.0:
        return False
    if record.kind == "incident" and text(record.body.get("what")) is None:
        return False
    return record.kind in READ_BY_NUMBER or _is_json(record.body)


def _is_json(body: Mapping[str, Any]) -> bool:
    """Tell whether a body has no number that JSON does not have."""
    try:
        json.dumps(body, allow_nan=False)
    except ValueError:
        return False
    return True


def _clocks(clocks: "array[float]") -> np.ndarray[Any, np.dtype[np.float64]]:
    readings = np.frombuffer(clocks, dtype=np.float64).reshape(-1, 3) if clocks else np.empty((0, 3))
    return np.unique(readings[:, ::-1], axis=0)[:, ::-1]


def _in_time(named: tuple[bytes, LatencyWindow | None]) -> tuple[float, bytes]:
    name, window = named
    return (window.to_s if window else 0.0), name


def _window(record: Record) -> LatencyWindow | None:
    """Read a latency record, or return None where it is not one."""
    body = record.body
    try:
        service, _, lateness = (read_latencies(body[what]) for what in ("service", "response", "lateness"))
        if not is_number(body["from_mono_s"], LATEST_S):
            return None
        return LatencyWindow(
            phase=body.get("phase"), from_s=body["from_mono_s"], to_s=record.at.mono_s,
            segment=record.segment, observed=bool(body.get("window")), fault=text(body.get("fault")),
            operations=service.operations, service_p95_s=service.quantile_s(0.95),
            lateness_p99_s=lateness.quantile_s(0.99),
            packed=(body["service"], body["response"]),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def is_bound(name: str, value: Any) -> bool:
    """Tell whether a declared size can be one: above 0, and not beyond what a host holds."""
    return is_number(value, DECLARED[name]) and value > 0


def _lives(marks: Sequence[Record], incidents: Sequence[Record], gaps: Mapping[int, float]) -> Iterator[ProcessLife]:
    for hello in (mark for mark in marks if mark.kind == "hello"):
        bye = next((m for m in marks if m.kind == "bye" and m.segment == hello.segment), None)
        broken = next((i for i in incidents if i.segment == hello.segment and i.body.get("what") in ENDINGS), None)
        end = broken or bye  # it may break after it has said goodbye
        ended_by = "running" if end is None else str(broken.body["what"]) if broken else "completed"
        if broken is None and bye is not None and bye.body.get("stopped"):
            ended_by = "stopped"
        end_wall_s = end.at.wall_s if end else None
        if hello.segment in gaps and broken is None:
            ended_by, end_wall_s = DAEMON_GAP, gaps[hello.segment]
        yield ProcessLife(
            segment=hello.segment, pid=hello.body["pid"], start_wall_s=hello.at.wall_s,
            end_wall_s=end_wall_s, ended_by=ended_by,
            declared={name: hello.body[name] for name in DECLARED if is_bound(name, hello.body.get(name))},
            boot_id=text(hello.body.get("boot_id")), tape_sha256=text(hello.body.get("tape_sha256")),
            python=text(hello.body.get("python")), executable=text(hello.body.get("executable")),
            **{name: count_of(bye.body, name) for name in DROPPED if bye is not None},
        )  # fmt: skip
