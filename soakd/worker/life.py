"""One life of an engine: start it, take it through the phases of the plan, sample it, close it.

Everything that is not an operation happens in `Housekeeping`, which the driver calls between operations.
"""

import asyncio
import contextlib
import gc
import inspect
import itertools
import os
import platform
import sys
import threading
from collections.abc import Iterator
from typing import Any

from soakd.errors import EngineError, SoakdError
from soakd.wire.spec import LOADED_PHASES, Phase, WorkerSpec
from soakd.worker.engines import build, is_async
from soakd.worker.engines.failures import one_line, place_of
from soakd.worker.errors_seen import ErrorsSeen
from soakd.worker.housekeeping import NS, Housekeeping
from soakd.worker.load import Arrivals, AsyncDriver, Lanes, SyncDriver, Tape, build_tape, new_recorder
from soakd.worker.pipes import ControlPipe, RecordPipe, now

MOST_THREADS_NAMED = 5
MOST_NAME_CHARACTERS = 60


class Stopped(Exception):
    """Raised when the daemon asks this life to end early, in order."""


def live(spec: WorkerSpec, control: ControlPipe, records: RecordPipe) -> int:
    """Run one life, from building the engine to the `bye` record.

    Raises:
        EngineError: the engine cannot be built or started.
        ControlClosed: the daemon is gone.
    """
    engine = build(spec)
    tape = build_tape(spec, getattr(engine, "inputs", None))
    lanes = Lanes(new_recorder(), new_recorder())
    keeping = Housekeeping(spec, control, records, lanes)
    os.register_at_fork(after_in_child=keeping.expect_copy)
    life = Life(spec, engine, tape, lanes, keeping, records, control)
    del engine
    try:
        if life.is_async:
            asyncio.run(life.run_async())
        else:
            life.run_sync()
    except Stopped:
        pass
    finally:
        keeping.close()
    records.send("bye", {"stopped": keeping.stopping, **_lost(records), "threads": _threads_left()})
    records.drain(5.0)
    return 0


def _lost(records: RecordPipe) -> dict[str, Any]:
    """Return how many records were dropped, and how many of them were events."""
    return {"records_dropped": records.dropped, "events_dropped": records.events_dropped}


def _threads_left() -> list[str]:
    """Return the names of the threads that the interpreter will wait for at exit."""
    mine = threading.main_thread()
    left = (thread for thread in threading.enumerate() if thread is not mine and not thread.daemon)
    return [str(thread.name)[:MOST_NAME_CHARACTERS] for thread in itertools.islice(left, MOST_THREADS_NAMED)]


class Life:
    """The phases of one engine, on the sync or the async path."""

    def __init__(
        self, spec: WorkerSpec, engine: Any, tape: Tape, lanes: Lanes, keeping: Housekeeping, records: RecordPipe,
        control: ControlPipe,
    ) -> None:  # fmt: skip
        self.is_async = is_async(engine)
        self._spec = spec
        self._engine = engine
        self._tape = tape
        self._lanes = lanes
        self._keeping = keeping
        self._records = records
        self._control = control
        self._errors = ErrorsSeen(records)
        self._origin_s = 0.0
        self._is_trial = False

    def run_sync(self) -> None:
        """Run the life without an event loop."""
        with _starting():
            _finished(self._engine.start())
        for phase in self._phases():
            driver = SyncDriver(self._operation(phase), self._tape, self._lanes, self._note_error)
            self._keeping.enter(phase, driver)
            until_ns = self._ns(phase.end_s)
            if phase.name in LOADED_PHASES:
                driver.run(self._arrivals(phase), until_ns, self._keeping)
            else:
                if phase.name == "close":
                    with self._closing():
                        _finished(self._engine.close())
                driver.idle(until_ns, self._keeping)
            self._keeping.leave()
        if self._is_trial:
            from soakd.worker.trial import try_once  # never in a process that is judged

            try_once(self._engine, self._tape, self._records)

    async def run_async(self) -> None:
        """Run the life on an event loop. A forked copy must not tear the loop down: it shares the loop's files."""
        self._keeping.loop = asyncio.get_running_loop()
        try:
            await self._run_async()
        finally:
            self._records.copies.end_here()

    async def _run_async(self) -> None:
        with _starting():
            await _awaited(self._engine.start())
        for phase in self._phases():
            operation, in_flight = self._operation(phase), self._spec.in_flight
            driver = AsyncDriver(operation, self._tape, self._lanes, self._note_error, in_flight)
            del operation
            self._keeping.enter(phase, driver)
            until_ns = self._ns(phase.end_s)
            if phase.name in LOADED_PHASES:
                await driver.run(self._arrivals(phase), until_ns, self._keeping)
            else:
                if phase.name == "close":
                    with self._closing():
                        await _awaited(self._engine.close())
                await driver.idle(until_ns, self._keeping)
            self._keeping.leave()
        if self._is_trial:
            from soakd.worker.trial import try_once_async

            await try_once_async(self._engine, self._tape, self._records)

    def _phases(self) -> Iterator[Phase]:
        """Send `hello`, wait for the run's origin, and yield the phases that are not over yet; none in a trial.

        After a request to stop, only a short close phase is left.
        """
        self._records.send("hello", self._hello())
        origin_s = self._wait_for_go()
        if origin_s is None:
            self._is_trial = True
            return
        self._origin_s = origin_s
        engine = self._engine
        extra = (getattr(engine, name, None) for name in ("take_findings", "reload_policy"))
        self._keeping.begin(self._origin_s, engine.counters, *extra)
        del engine
        for phase in self._spec.phases:
            if self._keeping.stopping or self._ns(phase.end_s) <= int(now().mono_s * NS):
                continue
            yield phase
        if self._keeping.stopping and self._engine is not None:
            end_s = now().mono_s - self._origin_s
            self._keeping.stopping = False
            yield Phase(name="close", start_s=end_s, end_s=end_s)
            self._keeping.stopping = True

    def _wait_for_go(self) -> float | None:
        """Return the run's origin; None for a trial of one operation."""
        order = self._control.wait()
        if "try" in order:
            return None
        if "go" not in order:
            self._keeping.stopping = True
            raise Stopped
        return float(order["go"])

    def _operation(self, phase: Phase) -> Any:
        return self._engine.operation if phase.name in LOADED_PHASES else None

    def _note_error(self, error: Exception) -> None:
        self._records.copies.end_here(error)  # a forked child may have raised
        self._errors(error)

    def _arrivals(self, phase: Phase) -> Arrivals:
        return Arrivals(self._spec.rate_per_s, self._spec.profile, self._ns(phase.start_s), self._ns(phase.end_s))

    def _ns(self, run_s: float) -> int:
        return int((self._origin_s + run_s) * NS)

    @contextlib.contextmanager
    def _closing(self) -> Iterator[None]:
        """Drop the engine after closing it, so that the memory it frees can be seen; a failure is an incident."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - any exception is the engine's incident
            detail = f"close() failed: {one_line(error)}"
            self._records.send("incident", {"what": "close_failed", "detail": detail})
        self._keeping.forget_engine()
        self._engine = None

    def _hello(self) -> dict[str, Any]:
        engine = self._engine
        declared = {
            name: value
            for name in ("capacity_entries", "bytes_per_entry", "capacity_bytes")
            if isinstance(value := getattr(engine, name, None), int | float)
        }
        return {
            "pid": os.getpid(),
            "python": platform.python_version(),
            "executable": sys.executable,
            "boot_id": _boot_id(),
            "tape_sha256": self._tape.hash,
            "path": "async" if self.is_async else "sync",
            "gc_threshold": list(gc.get_threshold()),
            **declared,
        }


@contextlib.contextmanager
def _starting() -> Iterator[None]:
    """Wrap what start() raises, SystemExit included: an engine that exits here has not started."""
    try:
        yield
    except SoakdError as error:  # an adapter's own error needs no wrapping
        raise EngineError(str(error)) from error
    except (Exception, SystemExit) as error:
        raise EngineError(f"start() failed: {one_line(error)}{place_of(error)}") from error


def _finished(result: Any) -> None:
    """Await a start or close that turned out to be a coroutine although the engine is sync."""
    if inspect.isawaitable(result):
        asyncio.run(_awaited(result))


async def _awaited(result: Any) -> None:
    if inspect.isawaitable(result):
        await result


def _boot_id() -> str | None:
    """Return the kernel's id of this boot: CLOCK_BOOTTIME restarts with each boot."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return None
