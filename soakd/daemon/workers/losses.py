"""Threads and child processes that go for good. Pure: sees no process, remembers which live.

An engine that swallows its errors goes on without them: no operation fails, and nothing crashes.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

REPLACED_WITHIN = 2
"""Readings after the first without a member in which another of its name may come; it must then stay for one more."""
BEFORE = 2
"""Readings by which the other may have come earlier: one that is started before the old one is let go."""


@dataclass(slots=True)
class _Member:
    """A member that lives: since when, and from which reading on."""

    name: str
    since_s: float
    reading: int
    replaces: bool = False


@dataclass(frozen=True, slots=True)
class _Missing:
    """A member that is gone, and since which reading."""

    name: str
    lived_s: float
    reading: int


@dataclass(frozen=True, slots=True)
class Loss:
    """Members of one name that went and were not replaced."""

    name: str
    count: int
    lived_s: float
    """How long the one had been there that was there longest."""


class Losses:
    """Finds members that went after a long time, and were not replaced.

    Args:
        old_s: a member must have been there for so long, seconds.
    """

    def __init__(self, old_s: float) -> None:
        self._old_s = old_s
        self._reading = 0
        self._members: dict[Hashable, _Member] = {}
        self._missing: list[_Missing] = []

    def look(
        self, now_s: float, alive: Mapping[Hashable, str], *, counts: bool, is_looked_at: bool = False
    ) -> list[Loss]:  # fmt: skip
        """Take one reading; return the members that are lost for good by now.

        Args:
            now_s: any one clock, seconds.
            alive: identity -> name; an identity is never another's.
            counts: members that go now are missed: the engine is under load, and nothing is broken on purpose.
            is_looked_at: members that come now are never missed: a tool may have started them.
        """
        self._reading += 1
        for identity, name in alive.items():
            since_s = math.inf if is_looked_at else now_s
            self._members.setdefault(identity, _Member(name, since_s, self._reading))
        gone = [self._members.pop(identity) for identity in self._members.keys() - alive.keys()]
        if counts:
            lived = [(member, now_s - member.since_s) for member in gone]
            self._missing += [_Missing(m.name, s, self._reading) for m, s in lived if s >= self._old_s]
        return self._lost()

    def _lost(self) -> list[Loss]:
        newest = self._reading - REPLACED_WITHIN
        due = [missing for missing in self._missing if missing.reading < newest]
        self._missing = [missing for missing in self._missing if missing.reading >= newest]
        newcomers = self._newcomers(due)
        lost: dict[str, list[float]] = {}
        for missing in due:
            if not _is_replaced(missing, newcomers.get(missing.name, [])):
                lost.setdefault(missing.name, []).append(missing.lived_s)
        return [Loss(name, len(lived_s), max(lived_s)) for name, lived_s in lost.items()]

    def _newcomers(self, due: Sequence[_Missing]) -> Mapping[str, list[_Member]]:
        """Return by name who may replace somebody, in the order in which they came."""
        names, found = {missing.name for missing in due}, dict[str, list[_Member]]()
        earliest = max(2, min((missing.reading for missing in due), default=0) - BEFORE)
        for member in self._members.values() if due else ():
            if member.name in names and member.reading >= earliest and not member.replaces:
                found.setdefault(member.name, []).append(member)
        return found


def _is_replaced(missing: _Missing, newcomers: list[_Member]) -> bool:
    """Find one who came about then; each replaces one."""
    for place, member in enumerate(newcomers):
        if missing.reading - BEFORE <= member.reading <= missing.reading + REPLACED_WITHIN:
            del newcomers[place]
            member.replaces = True
            return True
    return False
