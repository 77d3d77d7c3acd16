"""What workers report while a fault is on: which have noticed it, and whose operations succeed again."""

import asyncio
from collections.abc import Iterable, Mapping

from soakd.wire.records import LIFE_ENDS, SERVER_LIFE_ENDS, FaultReport, Incident, Record

NOTICED_BY_THE_DAEMON = (LIFE_ENDS - {"start_failed"}) | SERVER_LIFE_ENDS
"""Incidents by which soakd itself has noticed a fault."""
COUNTED = ("operations", "failed_operations", "retried_operations")


class FaultReports:
    """The reports of one fault."""

    def __init__(self, number: int, name: str, touched: Iterable[str]) -> None:
        self.number = number
        self.name = name
        self.touched = tuple(touched)
        self.acknowledged: set[str] = set()
        self.ended: set[str] = set()
        self.detected_s: dict[str, float] = {}
        """Engine -> CLOCK_MONOTONIC seconds of when its worker noticed; "" of when soakd did."""
        self.recovered_s: dict[str, float] = {}
        self._counted: dict[tuple[str, int], FaultReport] = {}
        self._news = asyncio.Event()

    def note(self, record: Record) -> None:
        """Take in a record that may be about this fault."""
        match record:
            case Incident(fault=self.name, what=what) if what in NOTICED_BY_THE_DAEMON:
                self.detected_s.setdefault("", record.at.mono_s)
            case FaultReport(number=self.number):
                self._take(record)
        self._news.set()

    def _take(self, report: FaultReport) -> None:
        mono_s = report.at.mono_s if report.mono_s is None else report.mono_s
        match report.state:
            case "begun":
                self.acknowledged.add(report.engine)
            case "detected":
                self.detected_s.setdefault(report.engine, mono_s)
            case "recovered":
                self.recovered_s.setdefault(report.engine, mono_s)
            case "ended":
                self.ended.add(report.engine)
                self._counted[report.engine, report.segment] = report

    def counts(self, engine: str) -> dict[str, int]:
        """Return the operations of an engine while the fault was on, over all its lives: done, failed, retried."""
        reports = [report for (name, _), report in self._counted.items() if name == engine]
        return {key: sum(getattr(report, key) for report in reports) for key in COUNTED} if reports else {}

    async def until(self, who: Iterable[str], seen: Iterable[str] | Mapping[str, float], within_s: float) -> bool:
        """Wait until all of `who` are in `seen`, which reports fill; return False if that takes too long."""
        wanted = set(who)
        try:
            async with asyncio.timeout(within_s):
                while not wanted <= set(seen):
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return False
        return True
