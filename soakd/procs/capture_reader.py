"""Reads the captures of a native window, in a process of its own under the engine's interpreter."""

import asyncio
import contextlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from soakd.errors import ProbeError
from soakd.procs.interpreters import import_folder, worker_environment
from soakd.wire.records import Capture
from soakd.wire.sites import Site, decode_all

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


def merged(own: Sequence[Site], captured: Sequence[Site]) -> list[Site]:
    """Join the sites that a look found by itself with those of its captures, the heaviest first.

    A mapping without a name is left out if anything else was found.
    """
    sites = sorted((*captured, *own), key=lambda site: -(site.bytes_per_operation or 0.0))
    return [site for site in sites if not site.last_resort] or sites


async def read_captures(python: str | None, captures: Sequence[Capture]) -> tuple[Site, ...]:
    """Resolve the sites of two windows.

    Args:
        python: the engine's interpreter; None for soakd's own.
        captures: of each window.

    Raises:
        ProbeError: they cannot be read.
    """
    arguments = [str(part) for capture in captures for part in (capture.path, capture.operations)]
    found = await _ask(python, "soakd.worker.attribution.resolve", arguments)
    if "why" in found:
        raise ProbeError(found["why"])
    try:
        return decode_all(found.get("sites"))
    except ValueError as error:
        raise ProbeError(f"the captures cannot be read: {error}") from error


async def read_stacks(python: str | None, path: Path) -> dict[str, Any]:
    """Read the whole stacks of one capture, for a flame graph.

    Args:
        python: the engine's interpreter; None for soakd's own.
        path: the capture.

    Returns:
        {"stacks": [{"frames", "bytes"}]}, frames root first, or {"why": ...}.
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
            return {"why": f"the captures were not read within {WITHIN_S:.0f}s"}
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
    try:
        found: dict[str, Any] = dict(json.loads(output))
    except (TypeError, ValueError):
        last = errors.decode("utf-8", "replace").strip().rpartition("\n")[2]
        return {"why": f"the captures cannot be read: {last[:300]}"}
    return found
