"""Faults on purpose: each at its moment, one after the other, with how it was noticed and how it was recovered from.

What follows from a fault is its own doing: the end of a server or worker bears the fault's name, does not count as a
restart, and is not judged as a crash. One fault is over before the next begins, so that effects can be told apart.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from soakd.daemon.faults.execution import Execution
from soakd.daemon.faults.proxies import ProxyProcess
from soakd.daemon.faults.targets import FaultOrders, FaultTargets
from soakd.daemon.workers.supervisor import Supervisor
from soakd.errors import BackendError
from soakd.setup.faults import FaultPlan, has_network_faults
from soakd.setup.plan import Plan
from soakd.wire.records import Record

MISSED_S = 2.0
"""A fault that was due so long before this daemon took over is skipped."""


class Faults:
    """The faults of a plan.

    Args:
        plan: what is broken, and when.
        put: takes the records.
        folder: where proxies have their folders.
        servers: engine -> its server, as soakd watches it.
        addresses: engine -> where its server answers.

    Raises:
        BackendError: a proxy has no place.
    """

    def __init__(
        self, plan: Plan, put: Callable[[Record], None], folder: Path, servers: Mapping[str, Any],
        addresses: Mapping[str, str],
    ) -> None:  # fmt: skip
        self._targets = FaultTargets(plan, put, servers)
        for name, address in addresses.items():
            if has_network_faults(plan.faults, name):
                self._targets.proxies[name] = ProxyProcess(address, folder / f"{name}-proxy", partial(self._lost, name))

    @property
    def addresses(self) -> Mapping[str, str]:
        """Engine -> the address of the proxy before its server; engines without network faults are absent."""
        return {name: proxy.address for name, proxy in self._targets.proxies.items()}

    async def open(self) -> None:
        """Start the proxies.

        Raises:
            BackendError: one does not start.
        """
        for proxy in self._targets.proxies.values():
            await proxy.start()

    async def close(self) -> None:
        """End the proxies."""
        for proxy in self._targets.proxies.values():
            await proxy.close()

    def abandon(self) -> None:
        """Kill the proxies: the daemon ends now."""
        for proxy in self._targets.proxies.values():
            proxy.abandon()

    def note(self, record: Record) -> None:
        """Take in a record on its way to the journal: the effects of a fault show in records."""
        self._targets.note(record)

    async def run(self, workers: Supervisor) -> None:
        """Break and heal, from the start of the run until the last fault is over or the run ends early."""
        await workers.started.wait()
        assert workers.origin_s is not None
        running = asyncio.ensure_future(self._run(workers, workers.origin_s))
        stopping = asyncio.ensure_future(workers.stop_asked.wait())
        try:
            await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            running.cancel()
            await asyncio.wait([running])
        if not running.cancelled():
            running.result()

    async def _run(self, workers: FaultOrders, origin_s: float) -> None:
        """Let every fault happen at its moment; returns after the last one. Cancelled, it heals what it has broken."""
        taken_over_s = time.monotonic()
        for fault in self._targets.plan.faults:
            due_s = origin_s + fault.at_s
            if due_s < taken_over_s - MISSED_S:
                continue  # before a resume: it took place and is recorded, or no daemon was there
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            if time.monotonic() + fault.duration_s > self._last_s(fault, origin_s):
                self._targets.record_missed(fault, "the faults before it took too long")
                continue
            await Execution(self._targets, fault, workers, origin_s).run()

    def _last_s(self, fault: FaultPlan, origin_s: float) -> float:
        engine = self._targets.engine(fault.target)
        return origin_s + engine.load.end_s - engine.config.limits.recovery_s

    def _lost(self, name: str) -> None:
        """Record that a proxy is gone: what happens to its engine until it is back is soakd's own doing."""
        detail = f"{name}: soakd's own proxy before its server ended; it is started again"
        self._targets.incident(name, {"what": "proxy_lost", "detail": detail})
        asyncio.get_running_loop().create_task(self._start_again(name))

    async def _start_again(self, name: str) -> None:
        with contextlib.suppress(BackendError, OSError):
            await self._targets.proxies[name].start()
