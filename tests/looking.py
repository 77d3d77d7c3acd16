"""One deep look at a planted leak, in a process of its own: what a worker would send, and what the captures say."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]

PROGRAM = """
import asyncio, json, resource, sys, tempfile, time
from soakd.worker.attribution import Look
from soakd.procs.capture_reader import merged, read_captures
from soakd.wire.records import Capture
from soakd.wire.sites import decode_all, encode
from soakd.worker.engines import planted
from soakd.worker.probes.allocator import live_native_bytes, live_python_bytes
from soakd.worker.probes.fork import ForkedChild

what, route, operations, options, folder = sys.argv[1:]
operations, options = int(operations), json.loads(options)
engine = getattr(planted, what)(**options)
operation = getattr(engine, "operation", engine)
bodies = []
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a thousand descriptors leak before a busy host has looked

async def main():
    order = {"id": 1, "route": route, "operations": operations, "seconds": 500, "folder": folder}
    look = Look(
        order, "engine", fork=lambda job, prepare: ForkedChild.start(job, prepare=prepare, timeout_s=450),
        live_bytes=lambda: live_native_bytes() + live_python_bytes(), send=bodies.append,
    )
    done = 0
    while not look.done:
        look.step(time.monotonic(), done)
        for _ in range(10):
            result = operation()
            if hasattr(result, "__await__"):
                await result
            done += 1
        await asyncio.sleep(0.0005)
    body = bodies[-1]
    if body.get("capture"):
        found = await read_captures(None, [Capture(**capture) for capture in body["capture"]])
        body["sites"] = [encode(site) for site in merged(decode_all(body["sites"]), found)]
    print(json.dumps(body))

asyncio.run(main())
"""


def sites_of(body: Any) -> Any:
    """Return the sites of a look that succeeded; says what it sent where it did not."""
    assert body["state"] == "done", body
    return body["sites"]


def look(
    what: str, route: str, folder: str, *, operations: int = 500, program: str = PROGRAM,
    python: Path | str = sys.executable, **options: Any,
) -> Any:  # fmt: skip
    """Take a look under `python`; returns the body of the last record, the sites of its captures in it."""
    command = [str(python), "-c", program, what, route, str(operations), json.dumps(options), folder]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
