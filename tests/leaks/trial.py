"""One deep look at one case in a process of its own, by the route that fits: `python -c` with this text, CASE.

What grows is measured first, as a soak would measure it; the look is what a worker would take. Prints one JSON object.
"""

import asyncio
import importlib
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from typing import Any

from soakd.procs.capture_reader import merged, read_captures
from soakd.wire.records import Capture
from soakd.wire.sites import decode_all, encode
from soakd.worker.attribution import Look
from soakd.worker.probes.allocator import live_native_bytes, live_python_bytes
from soakd.worker.probes.fork import ForkedChild
from soakd.worker.probes.process import open_fds, rss_bytes
from soakd.worker.probes.reachable import read_reachable
from tests.leaks import suite

MEASURED_OPERATIONS = 2000
MOSTLY = 0.8
SECONDS = 170.0
PAUSE_S = 0.01
"""After ten operations: less than a thousand a second, so that what leaks descriptors has enough for a slow host."""
GATE_BYTES = 16.0
"""Less in an operation is no growth: the smallest leak of the suite is six times as large."""
THINGS = ("fds", "threads", "tasks")


class Trial:
    """Operations, and what is read between them."""

    def __init__(self, factory: str, options: Mapping[str, Any]) -> None:
        module, _, function = factory.partition(":")
        engine = getattr(importlib.import_module(module), function)(**options)
        self._operation = getattr(engine, "operation", engine)
        self.done = 0

    async def operate(self, count: int) -> None:
        """Perform operations, and let the loop breathe."""
        for number in range(count):
            result = self._operation()
            if hasattr(result, "__await__"):
                await result
            if number % 10 == 9:
                await asyncio.sleep(PAUSE_S)
        self.done += count

    async def reading(self) -> dict[str, float]:
        """Read what a soak reads."""
        here = {
            "operations": self.done, "rss_bytes": rss_bytes(), "fds": open_fds(),
            "threads": threading.active_count(), "tasks": len(asyncio.all_tasks()),
        }  # fmt: skip
        child = ForkedChild.start(read_reachable, timeout_s=60.0)
        while (result := child.poll()) is None:
            await self.operate(10)
        assert result.values is not None, result.failure
        return {**here, **result.values}

    async def growth(self) -> dict[str, float]:
        """Return what an operation leaves behind, after as many that warm up."""
        await self.operate(MEASURED_OPERATIONS)
        before = await self.reading()
        await self.operate(MEASURED_OPERATIONS)
        after = await self.reading()
        return {name: (after[name] - before[name]) / (after["operations"] - before["operations"]) for name in after}

    async def look(self, route: str, operations: int, folder: str) -> dict[str, Any]:
        """Take a look, and read its captures."""
        order = {"id": 1, "route": route, "operations": operations, "seconds": SECONDS, "folder": folder}
        bodies: list[dict[str, Any]] = []
        look = Look(
            order, "engine", fork=lambda job, prepare: ForkedChild.start(job, prepare=prepare, timeout_s=150.0),
            live_bytes=lambda: live_native_bytes() + live_python_bytes(), send=bodies.append,
        )  # fmt: skip
        while not look.done:
            look.step(time.monotonic(), self.done)
            await self.operate(10)
        body = bodies[-1]
        if body.get("capture"):
            found = await read_captures(None, [Capture(**capture) for capture in body["capture"]])
            body["sites"] = [encode(site) for site in merged(decode_all(body["sites"]), found)]
        return body


def routes(growth: Mapping[str, float]) -> list[str]:
    """Choose as a verdict's class would: by what grows, and nothing where nothing does."""
    python, native = growth["reachable_python_bytes"], growth["reachable_native_bytes"]
    if any(growth[name] >= 1 / MEASURED_OPERATIONS * 3 for name in THINGS):
        return ["handles"]
    if python + native < GATE_BYTES:
        return ["native"] if growth["rss_bytes"] >= GATE_BYTES else []
    share = max(0.0, python) / (max(0.0, python) + max(0.0, native))
    if share >= MOSTLY:
        return ["python"]
    return ["native"] if share <= 1 - MOSTLY else ["native", "python"]


async def main(name: str) -> dict[str, Any]:
    """Measure, and look; a healthy engine is looked at by both routes, whatever the measure says."""
    case, healthy = suite.find(name)
    trial = Trial(case.factory, case.options)
    growth = await trial.growth()
    chosen = routes(growth)
    todo = [case.route] if case.route else (["python", "native"] if healthy else chosen)
    with tempfile.TemporaryDirectory() as folder:
        bodies = [await trial.look(route, case.operations, f"{folder}/captures") for route in todo]
    sites = sorted((s for body in bodies for s in body.get("sites", [])), key=_weight)
    failures = [body["why"] for body in bodies if body["state"] != "done"]
    return {"case": name, "growth": growth, "routes": chosen, "looked": todo, "failures": failures, "sites": sites}


def _weight(site: Mapping[str, Any]) -> tuple[float, float]:
    """Rank as the verdict does."""
    return -site.get("things_per_operation", 0.0), -(site.get("bytes_per_operation") or 0.0)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(sys.argv[1]))))
    sys.stdout.flush()
    os._exit(0)  # a leak of threads would be waited for
