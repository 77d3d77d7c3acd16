"""What workers report while a fault is on: which have noticed it, and whose operations succeed again."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from soakd.wire.records import Record

NOTICED_BY_THE_DAEMON = ("server_crash", "server_hang", "crash", "exit", "hang")
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
        self._counted: dict[tuple[str, int], Mapping[str, Any]] = {}
        self._news = asyncio.Event()

    def note(self, record: Record) -> None:
        """Take in a record that may be about this fault."""
        body = record.body
        if record.kind == "incident":
            if body.get("fault") == self.name and body.get("what") in NOTICED_BY_THE_DAEMON:
                self.detected_s.setdefault("", record.at.mono_s)
        elif body.get("id") == self.number:
            self._take(record.engine, record.segment, body)
        self._news.set()

    def _take(self, engine: str, segment: int, body: Mapping[str, Any]) -> None:
        match body.get("state"):
            case "begun":
                self.acknowledged.add(engine)
            case "detected":
                self.detected_s.setdefault(engine, body["mono_s"])
            case "recovered":
                self.recovered_s.setdefault(engine, body["mono_s"])
            case "ended":
                self.ended.add(engine)
                self._counted[engine, segment] = body

    def counts(self, engine: str) -> dict[str, int]:
        """Return the operations of an engine while the fault was on, over all its lives: done, failed, retried."""
        bodies = [body for (name, _), body in self._counted.items() if name == engine]
        return {key: sum(int(body.get(key, 0)) for body in bodies) for key in COUNTED} if bodies else {}

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
