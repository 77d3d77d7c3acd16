"""The driver for engines that work in process on one thread: no event loop, no second thread, no object kept.

Measured on a noisy 2-core machine: `benches/bench_driver.py`.
"""

import time
from collections.abc import Callable
from typing import Any

from soakd.wire.spec import Operation
from soakd.worker.load.arrivals import Arrivals
from soakd.worker.load.driver import BACKLOG_NS, GRACE_NS, MS, NS, Clock, Driver, Housekeeping, OnError
from soakd.worker.load.recorder import Lanes
from soakd.worker.load.tape import Tape


class SyncDriver(Driver):
    """Open loop: wakes at most once a millisecond and issues all that is due by then.

    Args:
        operation: performs one operation; None for phases without load.
        tape: the operations; each driver continues where the last one stopped.
        lanes: where latencies go.
        on_error: called with each exception of `operation`.
        clock_ns, sleep: time, replaceable in tests.
    """

    def __init__(
        self, operation: Callable[[Operation], Any] | None, tape: Tape, lanes: Lanes, on_error: OnError,
        *, clock_ns: Clock = time.monotonic_ns, sleep: Callable[[float], None] = time.sleep,
    ) -> None:  # fmt: skip
        super().__init__(tape, lanes, on_error, clock_ns)
        self._operation = operation
        self._sleep = sleep

    def run(self, arrivals: Arrivals, until_ns: int, housekeeping: Housekeeping) -> bool:
        """Issue what is due before `until_ns`; return True at the end, False if housekeeping asked to stop.

        What was due more than a second before the call is not counted: it belonged to an earlier life of the process.
        """
        issued = arrivals.due_by(min(self._clock_ns() - BACKLOG_NS, until_ns - 1))
        while True:
            if not self._keep_house(housekeeping, self._clock_ns()):
                return False
            now_ns = self._clock_ns()
            due = arrivals.due_by(min(now_ns, until_ns - 1))
            issued = self._skip_to(arrivals.due_by(min(now_ns - BACKLOG_NS, until_ns - 1)), issued)
            if issued < due and now_ns < until_ns + GRACE_NS:
                issued = self._issue(arrivals, issued, due)
                now_ns = self._clock_ns()
            elif now_ns >= until_ns:
                self._skip_to(due, issued)
                return True
            if issued >= due:
                next_ns = arrivals.time_ns(issued) if issued < arrivals.total else until_ns
                self._wait(min(next_ns, until_ns), until_ns, now_ns)

    def idle(self, until_ns: int, housekeeping: Housekeeping) -> bool:
        """Do only housekeeping until `until_ns`; return as `run` does."""
        while (now_ns := self._clock_ns()) < until_ns:
            if not self._keep_house(housekeeping, now_ns):
                return False
            self._wait(until_ns, until_ns, self._clock_ns())
        return True

    def _issue(self, arrivals: Arrivals, first: int, last: int) -> int:
        """Issue operations `first` to `last` until the piece of the schedule ends or housekeeping is due.

        Returns:
            The number of the next operation.
        """
        piece = arrivals.piece_of(first)
        origin, step, scale = piece.origin, piece.step, piece.scale
        operation, clock_ns, record, house_due_ns = (
            self._operation, self._clock_ns, self._lanes.active.record, self._house_due_ns,
        )  # fmt: skip
        assert operation is not None
        index = first
        # The range comes first in zip, so that nothing is taken from the tape once it has ended.
        for index, op in zip(range(first, min(last, piece.last)), self._tape.stream, strict=False):
            start_ns = clock_ns()
            try:
                operation(op)
                end_ns = clock_ns()
            except Exception as error:  # noqa: BLE001 - anything an engine raises is counted as its error
                end_ns = clock_ns()
                self.errors_total += 1
                self._on_error(error)
            record((origin + index * step) // scale, start_ns, end_ns)
            if end_ns >= house_due_ns:
                break
        self.operations_total += index + 1 - first
        return index + 1

    def _skip_to(self, index: int, issued: int) -> int:
        if index <= issued:
            return issued
        self.skipped_total += index - issued
        return index

    def _wait(self, next_ns: int, until_ns: int, now_ns: int) -> None:
        """Sleep until the next operation or housekeeping: at least a millisecond, and not past the end."""
        wait_ns = min(max(min(next_ns, self._house_due_ns) - now_ns, MS), until_ns - now_ns)
        if wait_ns > 0 and min(next_ns, self._house_due_ns) > now_ns:
            self._sleep(wait_ns / NS)
