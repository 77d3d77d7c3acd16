"""The records of a server become its data, apart from those of the worker that talks to it."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from soakd.judge.story.interruptions import DAEMON_GAP
from soakd.judge.story.readings import SignalColumns, once
from soakd.judge.story.rundata import Outage, ProcessLife, ServerData
from soakd.wire.records import SERVER, SERVER_GONE, SERVER_LIFE_ENDS, End, Incident, Record, Sample, ServerStart

RESTARTED = "server_restart"
"""How a life of somebody's own server ended where another one answered after it, and what is told of it."""
UNTOLD = "unknown"
"""How a life ended of which no incident says so."""
FACTS = ("version", "address", "backend", "read_from")


class ServerBuilder:
    """The records of the server of one engine."""

    def __init__(self) -> None:
        self._columns = SignalColumns()
        self._begun: list[ServerStart] = []
        self._kind: str | None = None
        self.unreadable = 0

    @staticmethod
    def wants(record: Record) -> bool:
        """Return whether a record is about a server's memory or its life; its incidents are the engine's."""
        return isinstance(record, ServerStart) or (isinstance(record, Sample) and record.source == SERVER)

    def add(self, record: Record) -> None:
        """Take one record."""
        if isinstance(record, ServerStart):
            self._begun.append(record)
            self._kind = record.server or self._kind
        elif isinstance(record, Sample):
            self.unreadable += self._columns.add_sample(record, record.at.mono_s)
            self._kind = record.server or self._kind

    def build(
        self, origin_s: float, incidents: Sequence[Incident], end: End | None, gaps: Mapping[int, float]
    ) -> ServerData | None:  # fmt: skip
        """Return the server's data; None where nothing was recorded of one.

        Args:
            origin_s: CLOCK_MONOTONIC seconds of the run's origin.
            incidents: of the engine, in order of time.
            end: the record that seals the run.
            gaps: lives that ended because the daemon did -> the wall seconds of their last record.
        """
        series, begun = self._columns.series(origin_s), once(self._begun)
        told = [i for i in incidents if i.is_of_a_server]
        if not series and not begun and not told:
            return None
        kinds = [self._kind, *(i.server for i in told)]
        facts = {name: getattr(begun[-1], name) for name in FACTS} if begun else {}
        lives = list(_lives(begun, told, end, gaps))
        return ServerData(
            kind=next(filter(None, kinds), "server"), **facts, series=series, lives=lives,
            outages=list(_outages(told, origin_s)),
        )  # fmt: skip


def _lives(
    begun: Sequence[ServerStart], told: Sequence[Incident], end: End | None, gaps: Mapping[int, float]
) -> Iterator[ProcessLife]:  # fmt: skip
    for record, later in pairwise([*begun, None]):
        if record is None:
            continue
        broken = next((i for i in told if i.segment == record.segment and i.what in SERVER_LIFE_ENDS), None)
        last: Record | None
        if broken is not None:
            last, ended_by = broken, broken.what
        elif later is not None:
            last, ended_by = later, RESTARTED if _is_theirs(later, told) else UNTOLD
        else:
            last, ended_by = end, "running" if end is None else "completed"
        end_wall_s = last.at.wall_s if last else None
        if broken is None and record.segment in gaps:
            ended_by, end_wall_s = DAEMON_GAP, gaps[record.segment]
        yield ProcessLife(
            segment=record.segment, pid=record.pid, start_wall_s=record.at.wall_s,
            end_wall_s=end_wall_s, ended_by=ended_by, declared={},
        )  # fmt: skip


def _is_theirs(begun: ServerStart, told: Sequence[Incident]) -> bool:
    """Whether somebody's own server was started again by them: why the life before ended is theirs to know."""
    restarts = (i for i in told if i.what == RESTARTED and i.segment == begun.segment)
    return begun.backend == "url" and any(restarts)


def _outages(told: Sequence[Incident], origin_s: float) -> Iterator[Outage]:
    """Cut incidents into outages: from the first that says the server is gone to the one that says it answers."""
    outage: Outage | None = None
    for incident in told:
        what, t_s = incident.what, incident.at.mono_s - origin_s
        if what in SERVER_GONE and outage is None:
            outage = Outage(what=what, from_s=t_s, fault=incident.fault)
        elif what == "server_gave_up":
            yield dataclasses.replace(outage or Outage(what=what, from_s=t_s), gave_up=True)
            outage = None
        elif what == "server_recovered":
            took_s = incident.recovery_s
            outage = outage or Outage(what=what, from_s=t_s, fault=incident.fault)
            yield dataclasses.replace(
                outage, recovered_s=t_s, recovery_s=float(took_s) if took_s is not None and took_s >= 0 else None
            )
            outage = None
    if outage is not None:
        yield outage
