"""Which packages the environment of each engine has: read by its interpreter, in a process beside the worker.

Recorded by every daemon that begins or resumes a run, so that a verdict names the releases.
"""

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

from soakd.procs.interpreters import import_folder, worker_environment
from soakd.procs.proc import now
from soakd.setup.plan import Plan
from soakd.wire.records import Record, make_record

WITHIN_S = 60.0
MOST_PACKAGES = 2000
LONGEST_NAME = 200

_PROGRAM = """
import importlib.metadata, json, sys
sys.path[:0] = sys.argv[1:]
found = {}
for one in importlib.metadata.distributions():
    name = one.metadata["Name"]
    if name and one.version:
        found.setdefault(name, one.version)
print("soakd:" + json.dumps(found))
"""


async def record_packages(plan: Plan, life: int, put: Callable[[Record], None]) -> None:
    """Read the environments of all engines, each once, and record them.

    Args:
        plan: of the run.
        life: of the daemon.
        put: takes a `phase` record named "packages": `environments`, each {"engines", "packages": {name: version}}, and
            `why` if they could not be read.
    """
    engines: dict[tuple[str | None, tuple[str, ...]], list[str]] = {}
    for engine in plan.engines:
        engines.setdefault((engine.config.python, engine.config.path), []).append(engine.config.name)
    found = await asyncio.gather(*(_installed(*environment) for environment in engines))
    environments = [{"engines": names, **packages} for names, packages in zip(engines.values(), found, strict=True)]
    body = {"name": "packages", "environments": environments}
    put(make_record("phase", engine="", segment=life, at=now(), body=body))


async def _installed(python: str | None, path: tuple[str, ...]) -> Mapping[str, Any]:
    """Ask one interpreter; an error is part of the answer."""
    try:
        with import_folder() as imports:
            return {"packages": await _ask(python, path, worker_environment(python, imports))}
    except (OSError, TimeoutError, ValueError) as error:
        return {"packages": {}, "why": (str(error) or type(error).__name__)[:LONGEST_NAME]}


async def _ask(python: str | None, path: tuple[str, ...], environment: Mapping[str, str]) -> dict[str, str]:
    process = await asyncio.create_subprocess_exec(
        "nice", "-n", "10", python or sys.executable, "-P", "-c", _PROGRAM, *path,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=dict(environment),
    )  # fmt: skip
    try:
        output, _ = await asyncio.wait_for(process.communicate(), WITHIN_S)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    found = json.loads(output.decode("utf-8", "replace").rpartition("soakd:")[2])
    kept = sorted(found.items(), key=lambda item: item[0].lower())[:MOST_PACKAGES]
    return {name[:LONGEST_NAME]: version[:LONGEST_NAME] for name, version in kept}
