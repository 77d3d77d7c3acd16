"""The tools that run during the windows of a look: none, tracemalloc, or memray. Each is removed when the look ends."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from soakd.wire.sites import Site
from soakd.worker.attribution import smaps
from soakd.worker.attribution.allocations import DEPTH
from soakd.worker.attribution.frames import Frame, fingerprint, module_of
from soakd.worker.attribution.gains import LEAST_GAIN
from soakd.worker.attribution.handles import descriptors, growing, threads_made_at, with_things
from soakd.worker.attribution.hooks import Hooks
from soakd.worker.attribution.smaps import resident

CAPTURE = ".memray"
MOST_CAPTURE_BYTES = 100_000_000
"""Generous: a capture has each stack once, and is some hundred kilobytes for most programs."""


class Tool(Protocol):
    """One way to trace allocations."""

    active: bool
    """Whether it is on: operations are slower then."""
    hooks: Hooks | None
    """What a forked child lifts before it reads the traces of Python objects; None without traces."""
    captures: list[dict[str, Any]]
    """Files for another process to read, one per window: {"path", "operations"}."""
    left_bytes: int
    """Bytes that it has left in the process for good."""

    def load(self) -> None:
        """Import what it needs. May raise."""

    def begin(self, window: int) -> None:
        """Open window 1 or 2."""

    def end(self, window: int, operations: int) -> None:
        """End it."""

    def added_to(self, sites: Sequence[Site], operations: Sequence[int]) -> list[Site]:
        """Return some sites with what it has found by itself."""

    def close(self) -> None:
        """Switch the tool off, whatever its state."""


class NoTool:
    """No tool: forked children only."""

    def __init__(self) -> None:
        self.active = False
        self.hooks: Hooks | None = None
        self.left_bytes = 0
        self.captures: list[dict[str, Any]] = []

    def load(self) -> None:
        """Need nothing."""

    def begin(self, window: int) -> None:
        """Do nothing."""

    def end(self, window: int, operations: int) -> None:
        """Do nothing."""

    def added_to(self, sites: Sequence[Site], operations: Sequence[int]) -> list[Site]:  # noqa: ARG002
        """Find nothing."""
        return list(sites)

    def close(self) -> None:
        """Do nothing."""


class Tracemalloc(NoTool):
    """tracemalloc with ten frames, on through both windows; never if the engine traces itself."""

    def load(self) -> None:
        """Import it."""
        import tracemalloc  # noqa: F401

    def begin(self, window: int) -> None:
        """Start with the first window."""
        import tracemalloc

        if window == 1:
            if tracemalloc.is_tracing():
                raise RuntimeError("the engine uses tracemalloc itself")
            self.hooks = Hooks()
            tracemalloc.start(DEPTH)
            self.active = True

    def close(self) -> None:
        """Stop, and forget every trace."""
        if self.active:
            import tracemalloc

            tracemalloc.stop()
            self.active = False


class Handles(Tracemalloc):
    """Counts descriptors at the edges of the windows; tracemalloc shows where tasks and threads are created."""

    def __init__(self) -> None:
        super().__init__()
        self._counts: list[Counter[str]] = []

    def begin(self, window: int) -> None:
        """Count, then start tracing."""
        self._counts.append(descriptors())
        super().begin(window)

    def end(self, window: int, operations: int) -> None:  # noqa: ARG002
        """Count again."""
        self._counts.append(descriptors())

    def added_to(self, sites: Sequence[Site], operations: Sequence[int]) -> list[Site]:
        """Return the sites with the threads that they make, and the kinds of descriptors of which there are ever more.

        tracemalloc sees too little of a thread to rank its line by bytes: a line that it has not named gets a site.
        """
        first, second = operations
        found = list(sites)
        for key, made in threads_made_at().items():
            if made.total() < LEAST_GAIN:
                continue
            file, _, line = key.rpartition(":")
            place = f"{module_of(file)}:{line}"
            mine = [site for site in found if site.place.startswith(f"{place} ")]
            if not mine:
                print_ = fingerprint("threads", [Frame(file, 0, "")])
                found += (mine := [Site(fingerprint=print_, place=place, frames=(place,), tool="tracemalloc")])
            rate = made.total() / (first + second)
            found = [with_things(site, made, rate) if site in mine else site for site in found]
        return found + growing(self._counts, (first, second))


class Memray(NoTool):
    """memray from the engine's own environment, aggregated and with native stacks: one capture per window.

    It also covers what memray cannot see: allocators called through ctypes, and mappings by name.
    """

    def __init__(self, stem: Path, live_bytes: Callable[[], int]) -> None:
        super().__init__()
        self._stem, self._live_bytes = stem, live_bytes
        self._tracker: Any = None
        self._foreign: Any = None
        self._calls: list[Any] = []
        self._mapped: list[Counter[str]] = []

    def load(self) -> None:
        """Import memray, which leaves some 3 MB in the process for good."""
        before = self._live_bytes()
        import memray  # noqa: F401

        from soakd.worker.attribution import foreign  # noqa: F401

        self.left_bytes = max(0, self._live_bytes() - before)

    def begin(self, window: int) -> None:
        """Open a capture."""
        import memray

        from soakd.worker.attribution.foreign import ForeignCalls

        self._mapped.append(resident())
        destination = memray.FileDestination(self._path(window), overwrite=True)
        tracker = memray.Tracker(
            destination=destination, native_traces=True, file_format=memray.FileFormat.AGGREGATED_ALLOCATIONS
        )
        tracker.__enter__()
        self._tracker, self.active = tracker, True
        self._foreign = ForeignCalls()
        self._foreign.open()

    def end(self, window: int, operations: int) -> None:
        """Write the capture."""
        self._calls.append(self._foreign.close())
        self._foreign = None
        self.close()
        self._mapped.append(resident())
        if (size := self._path(window).stat().st_size) > MOST_CAPTURE_BYTES:
            raise OSError(f"a capture of {size} bytes is larger than is kept ({MOST_CAPTURE_BYTES})")
        self.captures.append({"path": str(self._path(window)), "operations": operations})

    def added_to(self, sites: Sequence[Site], operations: Sequence[int]) -> list[Site]:
        """Return the sites with who calls the C library's allocators through ctypes, and the mappings that grow."""
        from soakd.worker.attribution import resolve

        first, second = operations
        calls_1, calls_2 = self._calls
        called = resolve.growing(calls_1, calls_2, (first, second), "ctypes")
        return [*sites, *called, *smaps.growing(self._mapped, (first, second))]

    def close(self) -> None:
        """Close what is open."""
        if self._foreign is not None:
            foreign, self._foreign = self._foreign, None
            foreign.close()
        if self._tracker is not None:
            tracker, self._tracker, self.active = self._tracker, None, False
            tracker.__exit__(None, None, None)

    def _path(self, window: int) -> Path:
        return self._stem.with_name(f"{self._stem.name}.{window}{CAPTURE}")


def tool_for(route: str, stem: Path, live_bytes: Callable[[], int]) -> Tool:
    """Return the tool of a route.

    Args:
        route: the route of the look.
        stem: the beginning of the paths of its captures.
        live_bytes: reads live bytes, to measure what the tool leaves behind.

    Raises:
        ValueError: no such route.
    """
    if route == "python":
        return Tracemalloc()
    if route == "handles":
        return Handles()
    if route == "native":
        return Memray(stem, live_bytes)
    raise ValueError(f"no route {route!r}")
