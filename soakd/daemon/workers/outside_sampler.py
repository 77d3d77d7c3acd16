"""Reads every worker, with its threads and children, from outside on one grid; and the daemon itself."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType

import psutil

from soakd.daemon.self_probe import SelfProbe
from soakd.daemon.workers.engine_lives import EngineLives
from soakd.daemon.workers.liveness import Liveness
from soakd.daemon.workers.worker import Worker
from soakd.errors import ProbeError
from soakd.procs import proc
from soakd.procs.proc import now
from soakd.procs.tree import Table, Tree
from soakd.setup.settings import Schedule
from soakd.wire.records import Record, make_record
from soakd.wire.spec import LOADED_PHASES

Read = Callable[[psutil.Process], dict[str, float]]


class OutsideSampler:
    """Samples processes through /proc.

    Args:
        schedule: how often; proportional sizes, which cost more, are read as often as snapshots are taken.
        engines: whose workers are read.
        host: reads what is known of the host, for the daemon's own sample; may raise ProbeError.
        put: takes the records.
    """

    def __init__(
        self, schedule: Schedule, engines: Collection[EngineLives], host: Callable[[], Mapping[str, float]],
        put: Callable[[Record], None],
    ) -> None:  # fmt: skip
        self._schedule = schedule
        self._engines, self._host, self._put = engines, host, put
        self._tree = Tree()
        self._own: Mapping[str, float] = {}

    async def run(self) -> None:
        """Sample until cancelled."""
        schedule, me = self._schedule, psutil.Process()
        due_s = proportional_s = time.monotonic()
        later = asyncio.get_running_loop().call_later
        with contextlib.closing(SelfProbe(schedule.collect_every_s, later, time.monotonic)) as self_probe:
            while True:
                proportional = schedule.snapshot_every_s is not None and due_s >= proportional_s
                if proportional:
                    proportional_s += schedule.snapshot_every_s or 0.0
                self._own, table = self_probe.sample(), self._tree.table()
                self._sample("", 0, me, self._read_daemon)
                self._sample_workers(_read_all if proportional else proc.read, table)
                due_s += schedule.sample_every_s * max(1, int((time.monotonic() - due_s) / schedule.sample_every_s))
                await asyncio.sleep(max(0.0, due_s - time.monotonic()))

    def _sample_workers(self, read: Read, table: Table | None) -> None:
        for lives in self._engines:
            if (worker := lives.running) is None:
                continue  # what one that has exited leaves until it is reaped is no process of an engine
            worker.kills.refresh()
            family = {} if table is None else self._read_family(worker, lives.liveness, table)
            self._sample(worker.spec.engine, worker.spec.segment, worker.outside, read, family)

    def _read_family(self, worker: Worker, liveness: Liveness, table: Table) -> dict[str, float]:
        """Read the threads and children of a worker, and what they hold; record those that are lost."""
        spec, begun_s = worker.spec, time.perf_counter()
        values = worker.family.read(table)
        counts = liveness.entered in LOADED_PHASES and worker.harm is None
        losses = worker.family.losses(time.monotonic(), counts=counts, is_looked_at=liveness.is_looked_at)
        for what, sentence, count in losses:
            body = {"what": what, "detail": f"{spec.engine}: {sentence}", "count": count}
            self._put(make_record("incident", engine=spec.engine, segment=spec.segment, at=now(), body=body))
        spent_s = time.perf_counter() - begun_s
        held = worker.holdings.read(worker.family.pids, time.monotonic())
        return {**values, "probe.tree.duration_s": round(spent_s, 6), **held}

    def _read_daemon(self, process: psutil.Process) -> dict[str, float]:
        tree = {"probe.tree.duration_s": round(self._tree.duration_s, 6)}
        return {**proc.read(process), **self._host(), **self._own, **tree}

    def _sample(
        self, engine: str, segment: int, process: psutil.Process, read: Read,
        more: Mapping[str, float] = MappingProxyType({}),
    ) -> None:  # fmt: skip
        started_s = time.perf_counter()
        try:
            body = {**read(process), **more}
        except ProbeError:
            return  # the process is gone, or no file descriptor is left: both are incidents
        body["probe.outside.duration_s"] = round(time.perf_counter() - started_s, 6)
        at = now()
        self._put(make_record("sample", engine=engine, segment=segment, at=at, body={"source": "outside", **body}))


def _read_all(process: psutil.Process) -> dict[str, float]:
    return proc.read(process) | proc.read_proportional(process)
