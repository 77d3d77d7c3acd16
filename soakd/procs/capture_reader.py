"""Reads the captures of a native window, in a process of its own under the engine's interpreter."""

import asyncio
import contextlib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from soakd.procs.interpreters import import_folder, worker_environment
from soakd.wire.sites import decode_all, encode

MOST_BYTES = 500_000_000
"""Of all captures of a run."""
WITHIN_S = 120.0
NICENESS = "10"


def prune(folder: Path, most_bytes: int = MOST_BYTES) -> None:
    """Delete the oldest captures until those of a run take at most so many bytes."""
    with contextlib.suppress(OSError):
        files = sorted(((path.stat().st_mtime, path.stat().st_size, path) for path in folder.iterdir()), reverse=True)
        total = 0
        for _, size, path in files:
            total += size
            if total > most_bytes:
                path.unlink(missing_ok=True)


def merged(body: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """Join what a look has found by itself with the sites of its captures, the heaviest first.

    A mapping without a name is left out if anything else was found.
    """
    both = (*decode_all(found.get("sites", [])), *decode_all(body["sites"]))
    sites = sorted(both, key=lambda site: -(site.bytes_per_operation or 0.0))
    kept = [site for site in sites if not site.last_resort] or sites
    return {**body, "capture": [], **found, "sites": [encode(site) for site in kept]}


async def read_captures(python: str | None, captures: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Resolve the sites of two windows.

    Args:
        python: the engine's interpreter; None for soakd's own.
        captures: {"path", "operations"} of each window.

    Returns:
        {"sites": [...]}, or {"state": "failed", "why": ...}.
    """
    arguments = [str(part) for capture in captures for part in (capture["path"], capture["operations"])]
    found = await _ask(python, "soakd.worker.attribution.resolve", arguments)
    try:
        decode_all(found.get("sites", []))
    except ValueError as error:
        return {"state": "failed", "why": f"the captures cannot be read: {error}"}
    return found


async def read_stacks(python: str | None, path: Path) -> dict[str, Any]:
    """Read the whole stacks of one capture, for a flame graph.

    Args:
        python: the engine's interpreter; None for soakd's own.
        path: the capture.

    Returns:
        {"stacks": [{"frames", "bytes"}]}, frames root first, or {"state": "failed", "why": ...}.
    """
    return await _ask(python, "soakd.worker.attribution.flames", [str(path)])


async def _ask(python: str | None, module: str, arguments: Sequence[str]) -> dict[str, Any]:
    with import_folder() as imports:
        process = await asyncio.create_subprocess_exec(
            "nice", "-n", NICENESS, python or sys.executable, "-P", "-m", module, *arguments,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env=dict(worker_environment(python, imports)),
        )  # fmt: skip
        try:
            output, errors = await asyncio.wait_for(process.communicate(), WITHIN_S)
        except TimeoutError:
            return {"state": "failed", "why": f"the captures were not read within {WITHIN_S:.0f}s"}
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
    try:
        found: dict[str, Any] = json.loads(output)
    except ValueError:
        last = errors.decode("utf-8", "replace").strip().rpartition("\n")[2]
        return {"state": "failed", "why": f"the captures cannot be read: {last[:300]}"}
    return found
