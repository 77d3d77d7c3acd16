"""One life of an engine: start it, take it through the phases of the plan, sample it, close it.

Everything that is not an operation happens in `Housekeeping`, which the driver calls between operations: there is no
second thread in the judged process.
"""

import asyncio
import gc
import inspect
import os
import platform
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from soakd import histogram
from soakd.engines import build, is_async
from soakd.errors import EngineError
from soakd.load import Arrivals, AsyncDriver, Lanes, SyncDriver, Tape, build_tape, new_recorder
from soakd.model import LOADED_PHASES, Phase, WorkerSpec
from soakd.probes import ProbeSet
from soakd.worker.errors_seen import ErrorsSeen
from soakd.worker.pipes import ControlPipe, RecordPipe, now

NS = 1_000_000_000
CONTROL_EVERY_S = 0.1
CHILD_POLL_S = 0.02


class Stopped(Exception):
    """The daemon asked this life to end early, in order."""


class Housekeeping:
    """What the worker does between operations: control, samples, forked children, latency records."""

    def __init__(self, spec: WorkerSpec, control: ControlPipe, records: RecordPipe, lanes: Lanes) -> None:
        self.phase: Phase | None = None
        self.driver: SyncDriver | AsyncDriver | None = None
        self._spec = spec
        self._control = control
        self._records = records
        self._lanes = lanes
        self._counters: Callable[[], Mapping[str, float]] = dict
        self._probes = ProbeSet(
            sample_every_s=spec.sample_every_s,
            collect_every_s=spec.collect_every_s,
            snapshot_every_s=spec.snapshot_every_s,
            site_packages=spec.site_packages,
            counters=self._read_counters,
        )
        self._totals = dict.fromkeys(TOTALS, 0)
        self._sample_due_s = 0.0
        self._latency_due_s = 0.0
        self._latency_from_s = 0.0
        self._control_due_s = 0.0
        self.stopping = False

    def begin(self, origin_s: float, counters: Any) -> None:
        """Start the cadences at the run's origin (CLOCK_MONOTONIC seconds), the same for every engine."""
        mono_s = now().mono_s
        self._counters = counters
        self._sample_due_s = _next_due_s(origin_s, self._spec.sample_every_s, mono_s)
        self._latency_from_s = mono_s
        self._latency_due_s = mono_s + self._spec.latency_every_s

    def enter(self, phase: Phase, driver: SyncDriver | AsyncDriver) -> None:
        """Take note of a new phase and its driver."""
        self.phase, self.driver = phase, driver
        self._records.send("phase", {"name": phase.name, "start_s": phase.start_s, "end_s": phase.end_s})

    def leave(self) -> None:
        """End a phase: its last sample, its latency and its operations are its own."""
        mono_s = now().mono_s
        self._sample(mono_s)
        self._send_latency(mono_s)
        self._add_totals()
        self.driver = None

    def forget_engine(self) -> None:
        """Drop the last reference to the engine's counters."""
        self._counters = dict

    def close(self) -> None:
        """End a child that is still alive."""
        self._probes.close()

    def __call__(self, now_ns: int) -> int | None:
        """Do what is due; return when to be called again (CLOCK_MONOTONIC nanoseconds), or None to stop."""
        mono_s = now_ns / NS
        if mono_s >= self._control_due_s:
            self._control_due_s = mono_s + CONTROL_EVERY_S
            self.stopping = self.stopping or self._asked_to_stop()
        if self.stopping:
            return None
        self._mind_child(mono_s)
        if mono_s >= self._sample_due_s:
            self._sample(mono_s)
            self._sample_due_s = _next_due_s(self._sample_due_s, self._spec.sample_every_s, mono_s)
        if mono_s >= self._latency_due_s:
            self._send_latency(mono_s)
            self._latency_due_s = mono_s + self._spec.latency_every_s
        child_s = mono_s + CHILD_POLL_S if self._probes.child_alive else self._sample_due_s
        return int(min(self._control_due_s, self._sample_due_s, self._latency_due_s, child_s) * NS)

    def _read_counters(self) -> Mapping[str, float]:
        return self._counters()

    def _asked_to_stop(self) -> bool:
        order = self._control.poll()
        return order is not None and "stop" in order

    def _mind_child(self, mono_s: float) -> None:
        """While a forked child lives, copy-on-write slows operations down: their latency goes in the window's lane."""
        if not self._probes.child_alive:
            self._lanes.open_window()
            if not self._probes.start_child_if_due(mono_s):
                self._lanes.close_window()
            return
        snapshot = self._probes.poll_child(mono_s)
        if snapshot is not None:
            self._records.send("snapshot", snapshot)
        child_lives: bool = self._probes.child_alive  # polling may have ended it
        if not child_lives:
            self._lanes.close_window()

    def _sample(self, mono_s: float) -> None:
        body: dict[str, Any] = dict(self._probes.sample(mono_s))
        body.update(self._running_totals())
        body["phase"] = self.phase.name if self.phase else None
        if self._records.dropped:
            body["records_dropped_total"] = self._records.dropped
        self._records.send("sample", body)

    def _running_totals(self) -> dict[str, float]:
        driver = self.driver
        return {name: self._totals[name] + (getattr(driver, name) if driver else 0) for name in TOTALS}

    def _add_totals(self) -> None:
        self._totals = self._running_totals()  # type: ignore[assignment]

    def _send_latency(self, mono_s: float) -> None:
        for lane, (service, response, lateness) in self._lanes.take():
            self._records.send(
                "latency",
                {
                    "phase": self.phase.name if self.phase else None,
                    "window": lane == "window",
                    "from_mono_s": round(self._latency_from_s, 6),
                    "service": histogram.pack(service),
                    "response": histogram.pack(response),
                    "lateness": histogram.pack(lateness),
                },
            )
        self._latency_from_s = mono_s


TOTALS = ("operations_total", "errors_total", "dropped_total", "skipped_total")


def live(spec: WorkerSpec, control: ControlPipe, records: RecordPipe) -> int:
    """Run one life from building the engine to `bye`.

    Raises:
        EngineError: the engine cannot be built or started.
        ControlClosed: the daemon is gone.
    """
    engine = build(spec)
    tape = build_tape(spec)
    lanes = Lanes(new_recorder(), new_recorder())
    keeping = Housekeeping(spec, control, records, lanes)
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
    records.send("bye", {"stopped": keeping.stopping, "records_dropped": records.dropped})
    records.drain(5.0)
    return 0


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

    def run_sync(self) -> None:
        """Live on the path without an event loop."""
        self._start_failed_unless(lambda: _finished(self._engine.start()))
        for phase in self._phases():
            driver = SyncDriver(self._operation(phase), self._tape, self._lanes, self._errors)
            self._keeping.enter(phase, driver)
            until_ns = self._ns(phase.end_s)
            if phase.name in LOADED_PHASES:
                driver.run(self._arrivals(phase), until_ns, self._keeping)
            else:
                if phase.name == "close":
                    self._close_engine(lambda engine: _finished(engine.close()))
                driver.idle(until_ns, self._keeping)
            self._leave()

    async def run_async(self) -> None:
        """Live on the event loop."""
        try:
            await _awaited(self._engine.start())
        except Exception as error:
            raise EngineError(_one_line("start() failed", error)) from error
        for phase in self._phases():
            driver = AsyncDriver(self._operation(phase), self._tape, self._lanes, self._errors, self._spec.in_flight)
            self._keeping.enter(phase, driver)
            until_ns = self._ns(phase.end_s)
            if phase.name in LOADED_PHASES:
                await driver.run(self._arrivals(phase), until_ns, self._keeping)
            else:
                if phase.name == "close":
                    await self._close_engine_async()
                await driver.idle(until_ns, self._keeping)
            self._leave()

    def _phases(self) -> Iterator[Phase]:
        """Say hello, wait for the run's origin, and give the phases that are not over yet.

        After a request to stop, only the close phase is left, and it is short.
        """
        self._records.send("hello", self._hello())
        self._origin_s = self._wait_for_go()
        self._keeping.begin(self._origin_s, self._engine.counters)
        for phase in self._spec.phases:
            if self._keeping.stopping or self._ns(phase.end_s) <= int(now().mono_s * NS):
                continue
            yield phase
        if self._keeping.stopping and self._engine is not None:
            end_s = now().mono_s - self._origin_s
            self._keeping.stopping = False
            yield Phase(name="close", start_s=end_s, end_s=end_s)
            self._keeping.stopping = True

    def _leave(self) -> None:
        self._keeping.leave()

    def _wait_for_go(self) -> float:
        order = self._control.wait()
        if "go" not in order:
            self._keeping.stopping = True
            raise Stopped
        return float(order["go"])

    def _operation(self, phase: Phase) -> Any:
        return self._engine.operation if phase.name in LOADED_PHASES else None

    def _arrivals(self, phase: Phase) -> Arrivals:
        return Arrivals(self._spec.rate_per_s, self._spec.profile, self._ns(phase.start_s), self._ns(phase.end_s))

    def _ns(self, run_s: float) -> int:
        return int((self._origin_s + run_s) * NS)

    def _start_failed_unless(self, start: Any) -> None:
        try:
            start()
        except Exception as error:
            raise EngineError(_one_line("start() failed", error)) from error

    def _close_engine(self, close: Any) -> None:
        """Close the engine and let go of it, so that what comes back can be seen."""
        try:
            close(self._engine)
        except Exception as error:  # noqa: BLE001 - whatever it raises is an incident of the engine
            self._records.send("incident", {"what": "close_failed", "detail": _one_line("close() failed", error)})
        self._drop_engine()

    async def _close_engine_async(self) -> None:
        try:
            await _awaited(self._engine.close())
        except Exception as error:  # noqa: BLE001 - whatever it raises is an incident of the engine
            self._records.send("incident", {"what": "close_failed", "detail": _one_line("close() failed", error)})
        self._drop_engine()

    def _drop_engine(self) -> None:
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
            "tape_sha256": self._tape.hash,
            "path": "async" if self.is_async else "sync",
            "gc_threshold": list(gc.get_threshold()),
            **declared,
        }


def _finished(result: Any) -> None:
    """Complete a start or close that turned out to be a coroutine on the sync path."""
    if inspect.isawaitable(result):
        asyncio.run(_awaited(result))


async def _awaited(result: Any) -> None:
    if inspect.isawaitable(result):
        await result


def _next_due_s(due_s: float, every_s: float, mono_s: float) -> float:
    """Return the first moment of the grid after now: a late sample does not shift the following ones."""
    return due_s + every_s * max(1, int((mono_s - due_s) / every_s) + 1)


def _one_line(what: str, error: BaseException) -> str:
    last = traceback.format_exception_only(error)[-1].strip()
    return f"{what}: {last.splitlines()[0] if last else type(error).__name__}"
