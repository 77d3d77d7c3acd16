"""What both drivers share: the counters, and the calls to housekeeping."""

import time
from collections.abc import Callable

from soakd.worker.load.recorder import Lanes
from soakd.worker.load.tape import Tape

NS = 1_000_000_000
MS = 1_000_000
BACKLOG_NS = NS
"""After a stall, what was due within the last second is issued; what was due earlier is skipped and counted."""
GRACE_NS = 100 * MS
"""Operations due before the end of a phase may start this long after it, if the last wake-up was late."""
HOUSE_EVERY_NS = 100 * MS
"""Housekeeping is called at least this often, whatever it asks for."""

Clock = Callable[[], int]
OnError = Callable[[Exception], None]
Housekeeping = Callable[[int], int | None]
"""Called with the time between operations; returns when it is due again, or None to end the phase. Nanoseconds."""


class Driver:
    """Issues operations at their due times, and never makes up for one that was missed.

    Every operation that is due while a driver runs ends in one of three counters: `operations_total` (those that raised
    are in `errors_total` too), `dropped_total` (no room in flight) or `skipped_total` (due in a stall).
    """

    def __init__(self, tape: Tape, lanes: Lanes, on_error: OnError, clock_ns: Clock = time.monotonic_ns) -> None:
        self.operations_total = 0
        self.errors_total = 0
        self.dropped_total = 0
        self.skipped_total = 0
        self._house_due_ns = 0
        self._tape = tape
        self._lanes = lanes
        self._on_error = on_error
        self._clock_ns = clock_ns

    def hasten(self) -> None:
        """Call housekeeping as soon as the operations of this wake-up are done."""
        self._house_due_ns = 0

    def _keep_house(self, housekeeping: Housekeeping, now_ns: int) -> bool:
        """Call housekeeping if it is due; return False if it asks to stop."""
        if now_ns < self._house_due_ns:
            return True
        due_ns = housekeeping(now_ns)
        if due_ns is None:
            return False
        self._house_due_ns = min(due_ns, self._clock_ns() + HOUSE_EVERY_NS)
        return True
