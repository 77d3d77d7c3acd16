"""Deep looks in the worker: one at a time, on the daemon's order, only under load."""

from collections.abc import Callable, Mapping
from typing import Any

from soakd.errors import ProbeError
from soakd.wire.lines import PROBE_DIED
from soakd.wire.spec import LOADED_PHASES, PhaseName
from soakd.worker.attribution import Look, LookChild
from soakd.worker.pipes import RecordPipe
from soakd.worker.probes import allocator, process
from soakd.worker.probes.fork import NICENESS, ForkedChild
from soakd.worker.probes.timing import Absent

CHILD_WITHIN_S = 90.0
"""Generous, because a niced child gets little of a busy host."""


class LookRunner:
    """Holds an order until there is load, then takes the look through its steps."""

    def __init__(self, engine: str, records: RecordPipe) -> None:
        self._engine = engine
        self._records = records
        self._order: Mapping[str, Any] | None = None
        self._look: Look | None = None

    @property
    def active(self) -> bool:
        """Whether a look is under way."""
        return self._look is not None

    @property
    def disturbs(self) -> bool:
        """Whether the look slows operations down, or holds memory, at this moment."""
        return self._look is not None and self._look.disturbs

    def order(self, order: Mapping[str, Any]) -> None:
        """Accept an order; it waits while another look is under way."""
        self._order = order

    def step(self, phase: PhaseName | None, mono_s: float, operations: float) -> None:
        """Start the look that is ordered, or continue the one under way."""
        if self._look is None:
            if self._order is None or phase not in LOADED_PHASES or self._too_early(phase):
                return
            order, self._order = self._order, None
            # In the load phase the engine comes first; in the reload phase no growth is judged, and time is short.
            niceness = NICENESS if order.get("light") else 0
            self._look = Look(
                order, self._engine, fork=lambda job, prepare: _fork(job, prepare, niceness),
                live_bytes=_live_bytes, send=self._send, report_death=self._report_death,
            )  # fmt: skip
        self._look.step(mono_s, operations)
        if self._look.done:
            self._look = None

    def leave(self, why: str) -> None:
        """End a look that is under way."""
        if self._look is not None:
            self._look.abort(why)
            self._look = None

    def _too_early(self, phase: PhaseName | None) -> bool:
        """Whether a look that needs tools must wait for the reload phase, after growth is judged."""
        return phase == "load" and not (self._order or {}).get("light")

    def _send(self, body: dict[str, Any]) -> None:
        self._records.send("attribution", body)

    def _report_death(self, how: str) -> None:
        self._records.send("incident", {"what": PROBE_DIED, "probe": "look", "detail": f"the forked child {how}"})


def _fork(job: Callable[[], Mapping[str, Any]], prepare: Callable[[], None] | None, niceness: int) -> LookChild:
    short = process.memory_short_for_a_fork()
    if short is not None:
        raise ProbeError(short)
    return ForkedChild.start(job, prepare=prepare, timeout_s=CHILD_WITHIN_S, niceness=niceness)


def _live_bytes() -> int:
    total = 0
    for read in (allocator.live_python_bytes, allocator.live_native_bytes):
        try:
            total += read()
        except Absent:
            continue
    return total
