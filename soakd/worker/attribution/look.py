"""One deep look: three forked children and two windows between them, driven by the worker's housekeeping.

    child 1    window 1: W operations    child 2    window 2: 3 W operations    child 3: compares and names

A child's answer is kept in a file in the run's folder until the last child has read it; the process keeps nothing. A
tool is on only in the windows. A failure ends the look, records why, and removes its tools. But a child may have died
of the search for containers, which walks the engine's objects: then the look continues with the tool alone.
"""

import glob
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from soakd.wire.sites import Site, decode_all, encode
from soakd.worker.attribution import child
from soakd.worker.attribution.tools import CAPTURE, NoTool, Tool, tool_for

FIRST_SHARE, BOTH_SHARE = 0.22, 0.80
"""The latest ends of the first and second window, as shares of the time that a look may take."""
LEAST_SHARES = (0.08, 0.20)
"""The least shares of that time for the windows themselves, however long the children took."""
SECOND_WINDOW = 3
"""The second window is this many times as long as the first: a filling or replacing container slows down in it."""
TURNOVERS = 2.0
"""... or this many times as long as a full container takes to replace its entries, if that is longer."""
WHOLE_TURNOVER = 1.5
"""A second window cut shorter than this many turnovers cannot tell turnover from growth."""
LEAST_OPERATIONS = 5

Body = dict[str, Any]
Job = Callable[[], Mapping[str, Any]]
MakeJob = Callable[[], partial[dict[str, Any]]]
"""Makes the job from the operations at the forks."""


class ChildAnswer(Protocol):
    """The result of a forked child."""

    values: dict[str, Any] | None
    failure: str | None
    died: bool
    """Whether the child crashed."""


class LookChild(Protocol):
    """A forked child at work."""

    def poll(self) -> Any:
        """Return its `ChildAnswer` once it has exited, None before."""

    def kill(self) -> None:
        """Kill the child."""


Fork = Callable[[Job, Callable[[], None] | None], LookChild]
"""Runs a job in a forked child; `prepare` runs there before the child is confined. May raise."""


class Look:
    """One deep look at the process that it runs in.

    Args:
        order: {"id", "route", "operations", "seconds", "folder"} and, if no tool may be used, "light".
        name: the engine's, for file names.
        fork: starts a child.
        live_bytes: reads live bytes, to measure what the tools leave behind.
        send: sends the bodies of `attribution` records.
        report_death: called at once with how a child crashed.
    """

    def __init__(
        self, order: Mapping[str, Any], name: str, *, fork: Fork, live_bytes: Callable[[], int],
        send: Callable[[Body], None], report_death: Callable[[str], None] = lambda _: None,
    ) -> None:  # fmt: skip
        self.done = False
        self._id, self._route = order["id"], str(order["route"])
        self._most, self._seconds = max(LEAST_OPERATIONS, int(order["operations"])), float(order["seconds"])
        self._light = bool(order.get("light"))
        self._stem = f"{name}-{self._id}"
        self._folder = Path(order["folder"])
        self._fork, self._live_bytes, self._send, self._report_death = fork, live_bytes, send, report_death
        self._tool: Tool = NoTool()
        self._child: LookChild | None = None
        self._stage = 0
        self._from_s = self._now_s = self._window_ends_s = 0.0
        self._mark = 0.0
        """Operations when the current window began."""
        self._asked: tuple[MakeJob, Callable[[], None] | None]
        """The job of the current child."""
        self._traced_from = 0.0
        """Operations when the tool was switched on."""
        self._forked_at: list[float] = []
        """Operations at each fork."""
        self._operations: list[int] = []
        self._files: list[Path] = []
        self._turnover = 0
        """Operations that a full container takes to replace its entries."""
        self._not_searched: str | None = None
        """Why containers are no longer searched; None while they are."""

    @property
    def disturbs(self) -> bool:
        """Whether a tool is on or a child alive: operations are slower, and memory is not the engine's alone."""
        return self._child is not None or self._tool.active

    def step(self, now_s: float, operations: float) -> None:
        """Advance the look; `now_s` is CLOCK_MONOTONIC, `operations` the count of this life. Never raises."""
        self._now_s = now_s
        try:
            self._advance(operations)
        except Exception as error:  # noqa: BLE001 - a failure costs only the look
            self.abort(f"{type(error).__name__}: {error}"[:300])

    def abort(self, why: str) -> None:
        """End it without a result."""
        if self.done:
            return
        self._end()
        with suppress(OSError):
            for capture in self._folder.glob(f"{glob.escape(self._stem)}.*{CAPTURE}"):
                capture.unlink(missing_ok=True)
        self._send(self._body("failed", why=why))

    def _advance(self, operations: float) -> None:
        if self._stage == 0:
            self._begin(operations)
        elif self._child is not None:
            self._mind_child(operations)
        elif operations - self._mark >= self._wanted or self._now_s >= self._window_ends_s:
            self._end_window(operations)

    @property
    def _wanted(self) -> int:
        if self._stage == 1:
            return self._most
        return max(SECOND_WINDOW * self._operations[0], int(TURNOVERS * self._turnover))

    def _begin(self, operations: float) -> None:
        self._stage, self._from_s = 1, self._now_s
        self._send(self._body("begun"))
        self._folder.mkdir(mode=0o750, exist_ok=True)
        if not self._light:
            self._tool = tool_for(self._route, self._folder / self._stem, self._live_bytes)
        self._tool.load()  # before the first child: imports must not count as the engine's growth
        self._start_child(operations, lambda: partial(child.read, None))

    def _mind_child(self, operations: float) -> None:
        assert self._child is not None
        answer = self._child.poll()
        if answer is None:
            return
        self._child = None
        if answer.values is None:
            if answer.died:
                self._report_death(str(answer.failure))
            self._go_on_without_search(f"the forked child failed: {answer.failure}", operations)
        elif "sites" in answer.values:
            self._finish(answer.values)
        else:
            self._keep(answer.values)
            self._stage = len(self._files)
            self._tool.begin(self._stage)
            share, least = (FIRST_SHARE, LEAST_SHARES[0]) if self._stage == 1 else (BOTH_SHARE, LEAST_SHARES[1])
            self._window_ends_s = max(self._from_s + share * self._seconds, self._now_s + least * self._seconds)
            self._mark = operations
            self._traced_from = operations if self._stage == 1 else self._traced_from

    def _go_on_without_search(self, why: str, operations: float) -> None:
        """Fork again for the tool's findings; end the look if there are none, that failed too, or time is over."""
        if self._not_searched is not None:
            self.abort(f"without the search, too: {why}")
        elif self._light or self._now_s >= self._from_s + self._seconds:
            self.abort(why)
        else:
            self._not_searched = f"containers were not searched: {why}"
            self._forked_at.pop()
            self._start_child(operations, *self._asked)

    def _end_window(self, operations: float) -> None:
        count = int(operations - self._mark)
        if count < LEAST_OPERATIONS:
            self.abort(f"{count} operations in a window, {LEAST_OPERATIONS} are needed")
            return
        self._operations.append(count)
        self._tool.end(self._stage, count)
        hooks = self._tool.hooks
        earlier: list[str] = []
        load = partial(child.load, self._files, earlier)
        self._start_child(operations, partial(self._read if self._stage == 1 else self._conclude, hooks, earlier), load)

    def _read(self, hooks: Any, earlier: list[str]) -> "partial[dict[str, Any]]":
        begun, middle = self._forked_at
        return partial(child.read, hooks, earlier, int(middle - begun))

    def _conclude(self, hooks: Any, earlier: list[str]) -> "partial[dict[str, Any]]":
        begun, middle, last = self._forked_at
        between, traced = (int(middle - begun), int(last - middle)), int(middle - self._traced_from)
        return partial(child.conclude, earlier, between, traced, hooks, things=self._route == "handles")

    def _start_child(self, operations: float, make: MakeJob, prepare: Callable[[], None] | None = None) -> None:
        self._forked_at.append(operations)
        self._asked = make, prepare
        self._child = self._fork(partial(make(), searches=self._not_searched is None), prepare)

    def _keep(self, values: Mapping[str, Any]) -> None:
        self._turnover = int(values["turnover"])
        path = self._folder / f"{self._stem}.{len(self._files)}.json"
        self._files.append(path)
        path.write_text(json.dumps(values), encoding="utf-8")

    def _finish(self, values: Mapping[str, Any]) -> None:
        sites: Sequence[Site] = decode_all(values["sites"])
        if self._not_searched is not None:  # whether what it fills has turned over is not known
            sites = [replace(site, confidence="low") for site in sites]
        sites = self._tool.added_to(sites, self._operations)
        if WHOLE_TURNOVER * self._turnover > self._operations[1]:
            # what turns over slowly looks so too: only a container that grows with it tells them apart
            sites = [site if site.held_by else replace(site, confidence="low") for site in sites]
        captures = self._tool.captures
        self._end()
        self._send(self._body("done", sites=[encode(site) for site in sites], types=values["types"], capture=captures))

    def _end(self) -> None:
        self.done = True
        if self._child is not None:
            self._child.kill()
            self._child = None
        with suppress(Exception):  # a full disk refuses the rest of a capture that will not be read
            self._tool.close()
        with suppress(OSError):
            for path in self._files:
                path.unlink(missing_ok=True)

    def _body(self, state: str, **more: Any) -> Body:
        return {
            "id": self._id, "route": self._route, "light": self._light, "state": state,
            "from_mono_s": round(self._from_s, 6), "until_mono_s": round(self._now_s, 6),
            "operations": self._operations, "left_bytes": self._tool.left_bytes,
            **({} if self._not_searched is None else {"note": self._not_searched}), **more,
        }  # fmt: skip
