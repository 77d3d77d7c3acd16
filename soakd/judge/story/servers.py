"""The records of a server become its data, apart from those of the worker that talks to it."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from soakd.judge.story.interruptions import DAEMON_GAP
from soakd.judge.story.readings import SignalColumns, is_number, is_reading, once, text
from soakd.judge.story.rundata import Outage, ProcessLife, ServerData
from soakd.wire.records import Record

SOURCE = "server"
"""Stands in samples of a server, where those of the worker have none or "outside"."""
ENDINGS = ("server_crash", "server_hang")
"""Incidents that end the life of a server."""
BROKEN = (*ENDINGS, "server_start_failed")
"""Incidents after which a server is not there until it has recovered."""
RESTARTED = "server_restart"
"""How a life of somebody's own server ended where another one answered after it, and what is told of it."""
UNTOLD = "unknown"
"""How a life ended of which no incident says so."""
NOT_NUMBERS = ("source", "server", "phase")
FACTS = ("version", "address", "backend", "read_from")


class ServerBuilder:
    """The records of the server of one engine."""

    def __init__(self) -> None:
        self._columns = SignalColumns()
        self._begun: list[Record] = []
        self._kind: str | None = None
        self.unreadable = 0

    @staticmethod
    def wants(record: Record) -> bool:
        """Tell whether a record is about a server's memory or its life; its incidents are the engine's."""
        return record.kind == "server" or (record.kind == "sample" and record.body.get("source") == SOURCE)

    def add(self, record: Record) -> None:
        """Take one record."""
        self._kind = text(record.body.get("server")) or self._kind
        if record.kind == "server":
            if type(record.body.get("pid")) in (int, type(None)):
                self._begun.append(record)
            else:
                self.unreadable += 1
            return
        for name, value in record.body.items():
            if name in NOT_NUMBERS or name.endswith(".duration_s"):
                continue
            if is_reading(name, value):
                self._columns.add(name, record.at.mono_s, value, record.segment)
            else:
                self.unreadable += 1

    def build(
        self, origin_s: float, incidents: Sequence[Record], end: Record | None, gaps: Mapping[int, float]
    ) -> ServerData | None:  # fmt: skip
        """Return the server's data; None where nothing was recorded of one.

        Args:
            origin_s: CLOCK_MONOTONIC seconds of the run's origin.
            incidents: of the engine, in order of time.
            end: the record that seals the run.
            gaps: lives that ended because the daemon did -> the wall seconds of their last record.
        """
        series, begun = self._columns.series(origin_s), once(self._begun)
        told = [i for i in incidents if str(i.body.get("what")).startswith("server_")]
        if not series and not begun and not told:
            return None
        kinds = [self._kind, *(text(i.body.get("server")) for i in told)]
        facts = {name: text(begun[-1].body.get(name)) for name in FACTS} if begun else {}
        lives = list(_lives(begun, told, end, gaps))
        return ServerData(
            kind=next(filter(None, kinds), "server"), **facts, series=series, lives=lives,
            outages=list(_outages(told, origin_s)),
        )  # fmt: skip


def _lives(
    begun: Sequence[Record], told: Sequence[Record], end: Record | None, gaps: Mapping[int, float]
) -> Iterator[ProcessLife]:  # fmt: skip
    for record, later in pairwise([*begun, None]):
        if record is None:
            continue
        broken = next((i for i in told if i.segment == record.segment and i.body["what"] in ENDINGS), None)
        last: Record | None
        if broken is not None:
            last, ended_by = broken, str(broken.body["what"])
        elif later is not None:
            last, ended_by = later, RESTARTED if _is_theirs(later, told) else UNTOLD
        else:
            last, ended_by = end, "running" if end is None else "completed"
        end_wall_s = last.at.wall_s if last else None
        if broken is None and record.segment in gaps:
            ended_by, end_wall_s = DAEMON_GAP, gaps[record.segment]
        yield ProcessLife(
            segment=record.segment, pid=record.body.get("pid"), start_wall_s=record.at.wall_s,
            end_wall_s=end_wall_s, ended_by=ended_by, declared={},
        )  # fmt: skip


def _is_theirs(begun: Record, told: Sequence[Record]) -> bool:
    """Whether somebody's own server was started again by them: why the life before ended is theirs to know."""
    restarts = (i for i in told if i.body["what"] == RESTARTED and i.segment == begun.segment)
    return begun.body.get("backend") == "url" and any(restarts)


def _outages(told: Sequence[Record], origin_s: float) -> Iterator[Outage]:
    """Cut incidents into outages: from the first that says the server is gone to the one that says it answers."""
    outage: Outage | None = None
    for incident in told:
        what, t_s = incident.body["what"], incident.at.mono_s - origin_s
        if what in BROKEN and outage is None:
            outage = Outage(what=what, from_s=t_s, fault=text(incident.body.get("fault")))
        elif what == "server_gave_up":
            yield dataclasses.replace(outage or Outage(what=what, from_s=t_s), gave_up=True)
            outage = None
        elif what == "server_recovered":
            took_s: Any = incident.body.get("recovery_s")
            known = is_number(took_s) and took_s >= 0
            outage = outage or Outage(what=what, from_s=t_s, fault=text(incident.body.get("fault")))
            yield dataclasses.replace(outage, recovered_s=t_s, recovery_s=float(took_s) if known else None)
            outage = None
    if outage is not None:
        yield outage
