"""The driver for engines that await something: a fixed pool of tasks on the event loop, fed by a ring.

A task per operation falls behind at 50,000/s; a pool does not (measured).
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from soakd.wire.spec import Operation
from soakd.worker.load.arrivals import Arrivals
from soakd.worker.load.driver import BACKLOG_NS, GRACE_NS, MS, NS, Clock, Driver, Housekeeping, OnError
from soakd.worker.load.recorder import Lanes
from soakd.worker.load.tape import Tape

FINISH_NS = 5 * NS
"""Time that operations in flight get at the end of a phase; then they are cancelled and counted as dropped."""
FINISH_TICK_NS = MS
CANCEL_EVERY_S = 1.0
LATE_NS = 2 * MS
"""Housekeeping is overdue only when it is later than this: the event loop rounds timers up to whole milliseconds."""


class AsyncDriver(Driver):
    """Open loop: each tick of whole milliseconds puts what is due on the ring; at most `in_flight` wait or run.

    Args:
        operation: performs one operation; None for phases without load.
        tape, lanes, on_error: as for `SyncDriver`.
        in_flight: the most operations that wait in the ring or run at one time; further ones are dropped.
        clock_ns: the clock of the event loop, in nanoseconds.
    """

    def __init__(
        self, operation: Callable[[Operation], Awaitable[Any]] | None, tape: Tape, lanes: Lanes, on_error: OnError,
        in_flight: int = 512, *, clock_ns: Clock = time.monotonic_ns,
    ) -> None:  # fmt: skip
        super().__init__(tape, lanes, on_error, clock_ns)
        self._operation = operation
        self._limit = in_flight
        self._in_flight = 0
        self._ring: deque[tuple[int, Operation]] = deque()
        self._idle: deque[asyncio.Future[None]] = deque()
        self._pool: set[asyncio.Task[None]] = set()
        self._broken: BaseException | None = None
        self._is_dismissed = False

    async def run(self, arrivals: Arrivals, until_ns: int, housekeeping: Housekeeping) -> bool:
        """Issue what is due before `until_ns`; return True at the end, False if housekeeping asked to stop.

        What was due more than a second before the call is not counted: it belonged to an earlier life of the process.
        """
        for _ in range(self._limit):
            self._add_worker()
        try:
            return await self._issue_all(arrivals, until_ns, housekeeping)
        finally:
            await self._dismiss()

    async def idle(self, until_ns: int, housekeeping: Housekeeping) -> bool:
        """Do only housekeeping until `until_ns`; return as `run` does."""
        while (now_ns := self._clock_ns()) < until_ns:
            if not self._keep_house(housekeeping, now_ns):
                return False
            await self._tick(until_ns)
        return True

    async def _issue_all(self, arrivals: Arrivals, until_ns: int, housekeeping: Housekeeping) -> bool:
        issued = arrivals.due_by(min(self._clock_ns() - BACKLOG_NS, until_ns - 1))
        while self._keep_house(housekeeping, self._clock_ns()):
            if self._broken is not None:
                raise self._broken
            now_ns = self._clock_ns()
            due = arrivals.due_by(min(now_ns, until_ns - 1))
            # After a stall: one second of the backlog is issued, and nothing long after the end.
            stalled = arrivals.due_by(min(now_ns - BACKLOG_NS, until_ns - 1)) if now_ns < until_ns + GRACE_NS else due
            self.skipped_total += max(0, stalled - issued)
            issued = await self._issue(arrivals, max(issued, stalled), due)
            if issued < due:
                continue
            if now_ns >= until_ns:
                return await self._finish(until_ns, housekeeping)
            await self._tick(min(arrivals.time_ns(issued), until_ns) if issued < arrivals.total else until_ns)
        return False

    async def _issue(self, arrivals: Arrivals, first: int, last: int) -> int:
        """Put operations `first` to `last` on the ring; return the next number, as housekeeping may cut this short."""
        for index in range(first, last):
            if self._in_flight >= self._limit:
                await asyncio.sleep(0)
            if self._in_flight >= self._limit:
                if self._clock_ns() >= self._house_due_ns:
                    return index
                self.dropped_total += last - index
                return last
            self._ring.append((arrivals.time_ns(index), next(self._tape.stream)))
            self._in_flight += 1
            if self._idle:
                self._idle.pop().set_result(None)
        return last

    async def _finish(self, until_ns: int, housekeeping: Housekeeping) -> bool:
        while self._in_flight and (now_ns := self._clock_ns()) < until_ns + FINISH_NS:
            if not self._keep_house(housekeeping, now_ns):
                return False
            await self._tick(now_ns + FINISH_TICK_NS)
        return True

    async def _tick(self, next_ns: int) -> None:
        """Sleep until `next_ns` or housekeeping, whichever comes first, in whole milliseconds."""
        wait_ns = min(next_ns, self._house_due_ns) - self._clock_ns()
        await asyncio.sleep(max(1, -(wait_ns // -MS)) / 1000)

    async def _work(self) -> None:
        """Perform what is on the ring, then wait to be woken, in an endless loop."""
        operation, clock_ns, ring = self._operation, self._clock_ns, self._ring
        assert operation is not None
        wake = asyncio.get_running_loop().create_future
        while True:
            while ring:
                start_ns = clock_ns()
                if start_ns >= self._house_due_ns + LATE_NS:
                    await asyncio.sleep(0)  # if operations never wait, the driver must still get its turn
                    continue
                intended_ns, op = ring.popleft()
                try:
                    await operation(op)
                    end_ns = clock_ns()
                except Exception as error:  # noqa: BLE001 - anything an engine raises is counted as its error
                    end_ns = clock_ns()
                    if self._is_dismissed:
                        return  # it turned its cancellation into an error; it is counted as dropped
                    self._note_error(error)
                if self._is_dismissed:
                    return
                self._lanes.active.record(intended_ns, start_ns, end_ns)
                self.operations_total += 1
                self._in_flight -= 1
            self._idle.append(wake())
            await self._idle[-1]

    def _note_error(self, error: Exception) -> None:
        self.errors_total += 1
        self._on_error(error)

    def _add_worker(self) -> None:
        worker = asyncio.get_running_loop().create_task(self._work())
        self._pool.add(worker)
        worker.add_done_callback(self._replace)

    def _replace(self, worker: "asyncio.Task[None]") -> None:
        """Replace a task that ended early: an operation cancelled its own task, or the driver has a bug."""
        if worker not in self._pool:
            return
        self._pool.discard(worker)
        if not worker.cancelled():
            self._broken = worker.exception()
            return
        self._in_flight -= 1
        self.operations_total += 1
        self._note_error(RuntimeError("the operation cancelled its own task"))
        self._add_worker()

    async def _dismiss(self) -> None:
        """Cancel what is still in flight, and wait until it has ended.

        Some clients mistake a cancellation for a time-out and retry: they are cancelled again.
        """
        self._is_dismissed = True
        pool = set(self._pool)
        self._pool.clear()
        self.dropped_total += self._in_flight
        self._in_flight = 0
        self._ring.clear()
        self._idle.clear()
        while pool:
            for worker in pool:
                worker.cancel()
            ended, pool = await asyncio.wait(pool, timeout=CANCEL_EVERY_S)
            for worker in ended:
                worker.cancelled() or worker.exception()  # retrieved and dropped: its operation is over
