"""Call trees of the bytes that survive: from memray's captures, or from the frames of named sites.

A capture has every allocation that was made in a window and not freed in it, with its whole stack. The other routes
leave no file: their trees are built from the sites in the journal.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from soakd.errors import JournalError
from soakd.procs.capture_reader import read_stacks
from soakd.procs.interpreters import import_folder
from soakd.record import run_folder
from soakd.record.recording import Recording
from soakd.record.run_folder import RunDir
from soakd.setup.plan import EnginePlan
from soakd.wire.records import Look
from soakd.wire.sites import Site

HARNESS = (
    "soakd/worker/__main__.py",
    "soakd/worker/copies.py",
    "soakd/worker/errors_seen.py",
    "soakd/worker/fault_watch.py",
    "soakd/worker/housekeeping.py",
    "soakd/worker/life.py",
    "soakd/worker/look_runner.py",
    "soakd/worker/pipes.py",
    "soakd/worker/trial.py",
    "soakd/worker/load/",
    "soakd/worker/engines/unfinished.py",
    "soakd/worker/engines/python_factory.py",
    "__main__.py:",
    "<frozen ",
    "<unknown> in _start",
    "asyncio/",
    "soakd/load/",
    "soakd/engines/unfinished.py",
    "soakd/engines/python_factory.py",
)
"""Prefixes of the frames between the root and the engine; the last three are those of runs recorded by version 0.1."""


@dataclass(slots=True)
class Call:
    """One frame, with the bytes allocated in it and below it."""

    name: str
    value: float = 0.0
    """Bytes per operation."""
    calls: "dict[str, Call]" = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flame:
    """The call tree of one engine and route."""

    engine: str
    route: str
    """Of the deep look: native, python or handles."""
    source: str
    """"capture": everything that survived a window; "sites": the named sites only."""
    operations: int
    """Operations in the window; 0 for sites."""
    root: Call
    note: str = ""
    """Why the expected capture was not used; empty where it was."""


def collect(run: RunDir, engine: str | None = None) -> list[Flame]:
    """Build the call trees of a run, one per engine and route, from the last look by that route that named anything.

    Captures are read under the engine's own interpreter, with its memray: that takes seconds each.

    Args:
        run: the run.
        engine: only this one.

    Raises:
        JournalError: the journal cannot be read, or there is no such engine.
    """
    recording = Recording.open(run)
    engines = recording.plan.engines
    if engine is not None and engine not in [each.config.name for each in engines]:
        names = ", ".join(each.config.name for each in engines)
        raise JournalError(f'{run.path}: no engine "{engine}"; engines: {names}')
    looks = [look for look in recording.records("attribution") if isinstance(look, Look)]
    wanted = [each for each in engines if engine in (None, each.config.name)]
    with _as_it_was(run):
        return [flame for each in wanted for flame in asyncio.run(_of_engine(run.path, each, looks))]


@contextlib.contextmanager
def _as_it_was(run: RunDir) -> Iterator[None]:
    """Restore the run's link to soakd: memray reads symbols at the path from which the worker loaded the extension."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # the run is still on and has the link, or the folder is read-only
            stack.enter_context(import_folder(run.path.resolve() / run_folder.IMPORTS))
        yield


async def _of_engine(folder: Path, plan: EnginePlan, looks: Sequence[Look]) -> list[Flame]:
    name = plan.config.name
    mine = [look for look in looks if look.engine == name and look.state == "done"]
    routes = dict.fromkeys(look.route for look in mine)
    found = [await _of_route(folder, plan, route, [look for look in mine if look.route == route]) for route in routes]
    return [flame for flame in found if flame is not None]


async def _of_route(
    folder: Path, plan: EnginePlan, route: str, looks: Sequence[Look]
) -> Flame | None:  # fmt: skip
    """Prefer the longest capture of the last look that left one; fall back on the sites of the last look."""
    captures = next((look.captures for look in reversed(looks) if look.captures), ())
    note = ""
    if captures:
        longest = max(captures, key=lambda capture: capture.operations)
        path = folder / run_folder.CAPTURES / Path(longest.path).name  # a run's folder may have been moved
        gone = {"why": f"{path.name} is gone"}
        read: Mapping[str, Any] = await read_stacks(plan.config.python, path) if path.is_file() else gone
        if "stacks" in read:
            operations = max(1, longest.operations)
            root = tree((stack["frames"], stack["bytes"] / operations) for stack in read["stacks"])
            return Flame(
                engine=plan.config.name, route=route, source="capture", operations=operations, root=root
            )  # fmt: skip
        note = str(read.get("why", "the capture cannot be read"))
    weighed = list(_stacks_of(next((look.sites for look in reversed(looks) if look.sites), ())))
    if not weighed:
        return None
    return Flame(
        engine=plan.config.name, route=route, source="sites", operations=0, root=tree(weighed), note=note
    )  # fmt: skip


def _stacks_of(sites: Iterable[Site]) -> Iterator[tuple[list[str], float]]:
    """Yield the stacks of sites, root first; a container without frames is its own stack."""
    for site in sites:
        if weight := site.bytes_per_operation:
            yield list(reversed(site.frames or [site.place])), weight


def _without_harness(frames: Sequence[str]) -> Sequence[str]:
    """Drop the frames between the root and the engine."""
    first = next((n for n, frame in enumerate(frames) if not frame.startswith(HARNESS)), len(frames) - 1)
    return frames[first:]


def tree(stacks: Iterable[tuple[Sequence[str], float]]) -> Call:
    """Merge stacks, root first, with their bytes per operation."""
    root = Call("all")
    for frames, value in stacks:
        root.value += value
        call = root
        for frame in _without_harness(frames):
            call = call.calls.setdefault(frame, Call(frame))
            call.value += value
    return root
