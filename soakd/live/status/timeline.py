"""Incidents in order of time. Bounded: a storm of one kind does not push out the others."""

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from soakd.live.status.parts import LONGEST_NAME, is_number, printable
from soakd.wire.records import Incident

MOST_OF_A_KIND = 40
MOST_KINDS = 64
LONGEST_DETAIL = 300
NUMBERS = ("recovery_s", "recovered_s", "gap_s", "status", "pid", "failed_operations", "retried_operations")
TEXTS = ("fault", "server", "kind")


class Timeline:
    """The latest incidents of each kind and engine."""

    def __init__(self) -> None:
        self.total = 0
        """The number of all incidents, kept or not."""
        self._kinds: dict[tuple[str, str], deque[dict[str, Any]]] = {}

    def take(self, incident: Incident, origin_s: float | None) -> dict[str, Any]:
        """Keep an incident; return it as shown."""
        self.total += 1
        what = printable(incident.what, LONGEST_NAME)
        shown = {
            "number": self.total, "at_wall_s": incident.at.wall_s,
            "at_s": None if origin_s is None else round(incident.at.mono_s - origin_s, 3),
            "engine": incident.engine or None, "what": what,
            "detail": printable(incident.detail or "", LONGEST_DETAIL),
            **dict(_facts(dict(incident.facts()))),
        }  # fmt: skip
        key = (incident.engine, what)
        if key not in self._kinds and len(self._kinds) >= MOST_KINDS:
            key = ("", "other")
        self._kinds.setdefault(key, deque(maxlen=MOST_OF_A_KIND)).append(shown)
        return shown

    def as_list(self) -> list[dict[str, Any]]:
        """Return what is kept, oldest first."""
        kept = [entry for entries in self._kinds.values() for entry in entries]
        return sorted(kept, key=lambda entry: (entry["at_wall_s"], entry["number"]))


def _facts(told: Mapping[str, object]) -> Iterator[tuple[str, Any]]:
    for name in NUMBERS:
        if is_number(told.get(name)):
            yield name, told[name]
    for name in TEXTS:
        if isinstance(told.get(name), str):
            yield name, printable(told[name], LONGEST_NAME)
