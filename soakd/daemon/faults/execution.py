"""One fault, from its beginning to the last report."""

import asyncio
import contextlib
import signal
import time
from collections.abc import Collection
from typing import Any

from soakd.daemon.faults.reports import FaultReports
from soakd.daemon.faults.targets import FaultOrders, FaultTargets, Server
from soakd.daemon.workers.restarts import Harm
from soakd.errors import BackendError
from soakd.setup.faults import FaultPlan, touched

ACKNOWLEDGE_WITHIN_S = 2.0
LOOK_EVERY_S = 0.02
PATIENCE_S = 60.0
"""Without recovery so long after the limit, a fault is recorded as not recovered from."""
SIGNALS = {"kill": signal.SIGKILL, "restart": signal.SIGTERM, "stop": signal.SIGSTOP}


class Execution:
    """One fault, from its beginning to the last report."""

    def __init__(self, targets: FaultTargets, fault: FaultPlan, workers: FaultOrders, origin_s: float) -> None:
        self._targets = targets
        self._fault = fault
        self._workers = workers
        configs = [engine.config for engine in targets.plan.engines]
        self._reports = targets.reports = FaultReports(
            fault.number, fault.name, touched(configs, fault.target, fault.on)
        )
        engine = targets.engine(fault.target)
        self._limit_s = engine.config.limits.recovery_s
        self._load_end_s = origin_s + engine.load.end_s
        self._server: Server | None = targets.servers.get(fault.target)

    async def run(self) -> None:
        """Break, heal, and wait until every engine that is touched works again."""
        fault, targets = self._fault, self._targets
        present = await self._announce()
        life = self._life()
        begun_s = time.monotonic()
        healed_s = begun_s
        try:
            what = await self._break()
            if what is None or isinstance(what, str):
                targets.record_missed(fault, what or "its target was not there")
                return
            targets.record(fault, "fault_begin", {"detail": self._description(), **what})
            if fault.duration_s:
                await asyncio.sleep(max(0.0, begun_s + fault.duration_s - time.monotonic()))
            if fault.duration_s or fault.on == "network":
                await self._heal()
                healed_s = time.monotonic() if fault.duration_s else begun_s
            stands = await self._stands_again(life, healed_s)
            is_recovered = stands and await self._await_recovery(present, healed_s)
        finally:
            with contextlib.suppress(BackendError):
                await self._heal()
            await self._dismiss()
            targets.reports = None
        self._record_end(begun_s, healed_s, is_recovered=is_recovered)

    def _description(self) -> str:
        fault = self._fault
        lasts = f" for {fault.duration_s:g}s" if fault.duration_s else ""
        return f"{fault.target}: {fault.kind} of its {fault.on}{lasts}, on purpose"

    def _life(self) -> int:
        if self._fault.on == "worker":
            return self._targets.segment(self._fault.target)
        return self._server.life if self._fault.on == "server" and self._server is not None else 0

    async def _announce(self) -> list[str]:
        """Announce the fault to every worker, so that each counts from here on; wait for answers, but not for long."""
        announced = [name for name in self._targets.loaded if self._send_fault_order(name, "begin")]
        await self._reports.until(announced, self._reports.acknowledged, ACKNOWLEDGE_WITHIN_S)
        return announced

    def _send_fault_order(self, name: str, state: str) -> bool:
        order = {"id": self._reports.number, "name": self._fault.name, "state": state}
        return self._workers.send_order(name, {"fault": order | {"touched": name in self._reports.touched}})

    async def _break(self) -> dict[str, Any] | str | None:
        """Carry out the fault; return further fields of its record, or why it could not be carried out."""
        fault = self._fault
        if fault.kind == "reload-policy":
            return {} if self._workers.send_order(fault.target, {"reload_policy": True}) else None
        if fault.on == "network":
            try:
                met = await self._targets.proxies[fault.target].set_mode(fault.kind, fault.latency_s)
            except BackendError as error:
                return str(error)
            return {"connections": met} if met else "there was no connection to its server"
        number, harm = SIGNALS[fault.kind], Harm(fault=fault.name, at_once=fault.kind == "restart")
        if fault.on == "server":
            pid = self._server.harm(number, harm) if self._server is not None else None
        else:
            pid = self._workers.harm(fault.target, number, harm)
        return None if pid is None else {"pid": pid}

    async def _heal(self) -> None:
        fault = self._fault
        if fault.on == "network":
            await self._targets.proxies[fault.target].set_mode("pass")
        elif fault.kind == "stop" and fault.on == "server" and self._server is not None:
            self._server.go_on()
        elif fault.kind == "stop":
            self._workers.go_on(fault.target)

    async def _stands_again(self, life: int, healed_s: float) -> bool:
        """Wait until the target is back: a server answers in a new life, a worker is under load in one."""
        fault, targets = self._fault, self._targets
        ends = fault.kind in ("kill", "restart")
        until_s = healed_s + self._limit_s + PATIENCE_S
        while time.monotonic() < until_s:
            if fault.on == "worker" and ends:
                stands = targets.loaded.get(fault.target, life) > life
            elif fault.on == "server" and self._server is not None:
                stands = (self._server.life > life or not ends) and self._server.last_answer_s > healed_s
            elif fault.kind == "reload-policy":
                stands = fault.target in self._reports.detected_s
            else:
                stands = True
            if stands:
                return True
            if time.monotonic() > self._load_end_s:
                return False
            await asyncio.sleep(LOOK_EVERY_S)
        return False

    async def _await_recovery(self, present: Collection[str], healed_s: float) -> bool:
        """Wait until operations of every engine that is touched succeed again."""
        waited = [name for name in self._reports.touched if name in {*present, self._fault.target}]
        for name in waited:
            if self._is_another_life(name):
                self._send_fault_order(name, "begin")
            self._send_fault_order(name, "healed")
        left_s = min(healed_s + self._limit_s + PATIENCE_S, self._load_end_s) - time.monotonic()
        return await self._reports.until(waited, self._reports.recovered_s, max(0.0, left_s))

    def _is_another_life(self, name: str) -> bool:
        return self._fault.on == "worker" and name == self._fault.target and self._fault.kind in ("kill", "restart")

    async def _dismiss(self) -> None:
        """Let the workers stop counting, and take in their last numbers."""
        fault = self._fault
        if fault.on == "server" and self._server is not None:
            self._server.mend()
        elif fault.on == "worker" and fault.kind in SIGNALS:
            self._workers.mend(fault.target)
        announced = [name for name in self._targets.loaded if self._send_fault_order(name, "end")]
        await self._reports.until(announced, self._reports.ended, ACKNOWLEDGE_WITHIN_S)

    def _record_end(self, begun_s: float, healed_s: float, *, is_recovered: bool) -> None:
        fault, reports = self._fault, self._reports
        engines = {name: self._outcome(name, begun_s, healed_s) for name in reports.touched}
        own = engines[fault.target]
        first = min((moment for moment in reports.detected_s.values()), default=None)
        detected = {} if first is None else {"detected_s": round(max(0.0, first - begun_s), 3)}
        if fault.kind == "reload-policy" and first is None:
            self._targets.record_missed(fault, "no policy was loaded")
            return
        until_s = max([healed_s, *reports.recovered_s.values()]) if is_recovered else time.monotonic()
        in_time = f"operations succeed again after {own.get('recovered_s')}s" if is_recovered else "not recovered from"
        body = {
            "took_place": True, "from_mono_s": begun_s, "until_mono_s": until_s, "healed_after_s": healed_s - begun_s,
            **own, **detected, "engines": engines, "detail": f"{fault.name}: {in_time}",
        }  # fmt: skip
        self._targets.record(fault, "fault_end", body)

    def _outcome(self, name: str, begun_s: float, healed_s: float) -> dict[str, Any]:
        """Return what the fault did to one engine; what is not known is absent."""
        reports, found = self._reports, {}
        if name in reports.detected_s:
            found["detected_s"] = round(max(0.0, reports.detected_s[name] - begun_s), 3)
        if name in reports.recovered_s:
            found["recovered_s"] = round(max(0.0, reports.recovered_s[name] - healed_s), 3)
        return found | reports.counts(name)
