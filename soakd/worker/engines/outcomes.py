"""Counts of decisions, the same for every policy engine: anything but false and undefined is allowed."""

from collections.abc import Mapping
from typing import Any

from soakd.worker.engines.undefined import UNDEFINED


class Outcomes:
    """Counts the decisions of one policy engine."""

    def __init__(self) -> None:
        self._decisions = self._allowed = self._undecided = 0

    def note(self, decision: Any) -> None:
        """Count one decision."""
        self._decisions += 1
        if decision is UNDEFINED:
            self._undecided += 1
        elif decision is not False:
            self._allowed += 1

    def counters(self) -> Mapping[str, float]:
        """Return the totals."""
        return {
            "decisions": self._decisions,
            "allowed": self._allowed,
            "denied": self._decisions - self._allowed - self._undecided,
            "undefined": self._undecided,
        }
