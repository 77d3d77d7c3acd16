"""What a worker and its children hold outside of their memory: files without a name, queues, disk.

Reading much of it is costly, so it is read less often than a sample: a hundred times in the load phase, at least once a
minute; less often if that takes more than a thousandth of a core, but often enough to be judged.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import Sequence
from pathlib import Path

from soakd.procs.cgroup import read_cgroup
from soakd.procs.descriptors import read_held
from soakd.procs.scratch import FolderSize

READINGS, LEAST_READINGS = 100, 32
LONGEST_S = 60.0
EARLY = 0.9
"""Share of the time between two readings after which the next sample reads, even if it is a little early."""
MOST_TIME = 0.001
"""Share of one core."""


class Holdings:
    """Reads what one worker holds.

    Args:
        scratch: the temporary folder of its engine; None without one.
        load_s: length of its load phase.
    """

    def __init__(self, scratch: Path | None, load_s: float) -> None:
        self._scratch = None if scratch is None else FolderSize(scratch)
        self._walk: asyncio.Future[int] | None = None
        self._every_s, self._most_s = min(LONGEST_S, load_s / READINGS), load_s / LEAST_READINGS
        self._due_s = float("-inf")

    def read(self, pids: Sequence[int], now_s: float) -> dict[str, float]:
        """Return what these processes hold, by the names of its signals, if it is due; else nothing.

        Inside an event loop.

        `held_file_bytes`, `open_file_bytes`, `queued_bytes`, `scratch_bytes`, `cgroup_*_bytes` and `fd_count.KIND`.
        """
        if now_s < self._due_s:
            return {}
        begun_s = time.thread_time()
        held = read_held(pids)
        values: dict[str, float] = {
            "held_file_bytes": held.unnamed_bytes, "open_file_bytes": held.written_bytes,
            **self._walked(), **read_cgroup(pids[0], os.getpid()),
            **({} if held.queued_bytes is None else {"queued_bytes": held.queued_bytes}),
            **{f"fd_count.{kind}": count for kind, count in sorted(held.counts.items())},
        }  # fmt: skip
        spent_s = time.thread_time() - begun_s
        self._due_s = now_s + max(self._every_s * EARLY, min(spent_s / MOST_TIME, self._most_s))
        return {**values, "probe.holdings.duration_s": round(spent_s, 6)}

    def _walked(self) -> dict[str, float]:
        """Return what the last walk through the temporary folder has found, and begin the next one.

        It is a thread's: a disk that is busy must not hold up the daemon.
        """
        if self._scratch is None or (self._walk is not None and not self._walk.done()):
            return {}
        last, self._walk = self._walk, None
        with contextlib.suppress(RuntimeError):  # no thread can be started: engines may leak these, too
            self._walk = asyncio.get_running_loop().run_in_executor(None, self._scratch.read)
        return {} if last is None else {"scratch_bytes": last.result()}
