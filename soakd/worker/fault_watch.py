"""The effect of a fault on this worker's operations, at the resolution of housekeeping."""

from collections.abc import Mapping
from typing import Any

NOTICED = ("errors_total", "retries_total", "timeouts_total", "connection_errors_total", "reloads_total")
"""Counters of driver and engine. Once one of them rises, the worker has noticed the fault."""
LOOK_EVERY_S = 0.05
QUIET_S = 1.0
"""Operations have recovered once they succeed and none fails for this long; a single success may be luck."""


class FaultWatch:
    """One fault, from the moment the daemon announces it to this worker."""

    def __init__(self, order: Mapping[str, Any], totals: Mapping[str, float]) -> None:
        self.name = str(order["name"])
        self.number = int(order["id"])
        self._touched = bool(order.get("touched"))
        self._first = dict(totals)
        self._last = dict(totals)
        self._succeeds_since_s: float | None = None
        self._is_detected = self._is_recovered = self._is_healed = False

    def heal(self) -> None:
        """Mark the fault as over: from now on, successes without failures count as recovery."""
        self._is_healed = True

    def look(self, mono_s: float, totals: Mapping[str, float]) -> list[dict[str, Any]]:
        """Compare the totals with the previous ones; return the events to report."""
        before, self._last = self._last, dict(totals)
        found = []
        if self._touched and not self._is_detected and any(_rise(self._first, totals, name) for name in NOTICED):
            self._is_detected = True
            found.append(self._event("detected", mono_s))
        if self._touched and self._is_healed and not self._is_recovered:
            self._look_for_recovery(before, totals, mono_s)
            if self._succeeds_since_s is not None and mono_s - self._succeeds_since_s >= QUIET_S:
                self._is_recovered = True
                found.append(self._event("recovered", self._succeeds_since_s))
        return found

    def _look_for_recovery(self, before: Mapping[str, float], totals: Mapping[str, float], mono_s: float) -> None:
        """Record since when operations have succeeded without a failure."""
        failed = _rise(before, totals, "errors_total")
        if failed:
            self._succeeds_since_s = None
        elif self._succeeds_since_s is None and _rise(before, totals, "operations_total") > 0:
            self._succeeds_since_s = mono_s

    def end(self, mono_s: float, totals: Mapping[str, float]) -> dict[str, Any]:
        """Return the counts over the whole fault."""
        return self._event("ended", mono_s) | {
            "operations": int(_rise(self._first, totals, "operations_total")),
            "failed_operations": int(_rise(self._first, totals, "errors_total")),
            "retried_operations": int(_rise(self._first, totals, "retries_total")),
        }

    def begun(self, mono_s: float) -> dict[str, Any]:
        """Return the event that acknowledges the order."""
        return self._event("begun", mono_s)

    def _event(self, state: str, mono_s: float) -> dict[str, Any]:
        return {"id": self.number, "fault": self.name, "state": state, "mono_s": round(mono_s, 6)}


def _rise(before: Mapping[str, float], after: Mapping[str, float], name: str) -> float:
    return after.get(name, 0.0) - before.get(name, 0.0)
