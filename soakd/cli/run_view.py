"""The state of a run, read from its folder whether its daemon is alive or not. Reads little."""

import contextlib
from collections.abc import Iterator
from typing import Any

from soakd.errors import JournalError
from soakd.live.status import RunStatus
from soakd.procs.proc import now
from soakd.record import run_folder, verdict_file
from soakd.record.recording import Recording
from soakd.record.run_folder import RunDir
from soakd.wire.records import Record

LAST_SAMPLES, LAST_WINDOWS = 40, 3
"""Per engine: enough for its rate, and for a reading of every signal of a sample."""
TOLD = ("hello", "server", "bye")
INCIDENTS = 400
OF_OTHERS = '"source":"'
"""In the bodies of samples that the worker did not take itself."""


class RunView:
    """A run's state from its journal; `catch_up` reads what was added since."""

    def __init__(self, run: RunDir) -> None:
        """Read a run.

        Raises:
            JournalError: its journal cannot be read, or holds no run.
        """
        self.run = run
        self._recording = Recording.open(run)
        self.status = RunStatus(self._recording.plan, run.run_id)
        self.status.count_no_samples()
        self._number = 0
        self._judged: int | None = None
        self._last_s = 0.0
        self._read_first()

    def catch_up(self) -> None:
        """Read what was recorded and judged since the last call.

        Raises:
            JournalError: the journal cannot be read.
        """
        while found := self._recording.since(self._number):
            self._take(found)
        self._read_verdict()
        self._read_address()

    @property
    def now_s(self) -> float:
        """The current time on the run's clock: CLOCK_MONOTONIC if it is live, otherwise the time of its last record."""
        return now().mono_s if self.run.is_running() else self._last_s

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON types."""
        return {
            "path": str(self.run.path), "running": self.run.is_running(), "page": self.status.served_at,
            **self.status.as_dict(self.now_s),
        }  # fmt: skip

    def _read_first(self) -> None:
        found = [record for engine in ("", *self.status.engines) for record in self._last_of(engine)]
        told = [*self._recording.phases, *sorted(found, key=lambda record: record.at.wall_s)]
        last = self._recording.latest_number()
        self._take([(last, record) for record in told])
        self._read_verdict()
        self._read_address()

    def _last_of(self, engine: str) -> Iterator[Record]:
        """Yield one engine's lives, incidents, the last samples of each life, and the last latency windows."""
        latest = self._recording.latest
        begun = latest("hello", engine, INCIDENTS)
        for kind in (*TOLD[1:], "incident"):
            yield from (record for _, record in latest(kind, engine, INCIDENTS))
        for number, hello in begun:
            yield hello
            yield from (r for _, r in latest("sample", engine, 1, before=number, without=OF_OTHERS))
        for kind, count in (("phase", 2), ("sample", LAST_SAMPLES), ("latency", LAST_WINDOWS), ("attribution", 5)):
            if engine or kind == "sample":
                yield from (record for _, record in latest(kind, engine, count))

    def _take(self, found: list[tuple[int, Record]]) -> None:
        on_clock = list(self._recording.on_this_clock(record for _, record in found))
        self._number = max(number for number, _ in found)
        self._last_s = max([self._last_s, *(record.at.mono_s for record in on_clock)])
        self.status.fold(on_clock)

    def _read_address(self) -> None:
        try:
            self.status.served_at = (self.run.path / run_folder.ADDRESS).read_text(encoding="utf-8").strip() or None
        except (OSError, ValueError):
            self.status.served_at = None

    def check_verdict(self) -> None:
        """Raise if the verdict file could not be used.

        Raises:
            BrokenVerdictError: it was damaged, or changed after it was written.
        """
        with contextlib.suppress(OSError):
            if self.run.verdict.stat().st_mtime_ns != self._judged:
                verdict_file.read(self.run)

    def _read_verdict(self) -> None:
        """Read the verdict if it changed; one that cannot be read now may be readable the next time."""
        with contextlib.suppress(OSError, JournalError):
            written = self.run.verdict.stat().st_mtime_ns
            if written != self._judged:
                self.status.apply_verdict(verdict_file.read(self.run).verdict)
                self._judged = written


def aftermath(view: RunView) -> str | None:
    """Return what to do about a run without a daemon; None while its daemon is alive."""
    if view.run.is_running():
        return None
    if view.status.ended_for is None:
        return f"not running: soakd run --resume {view.run.path} continues it"
    return f"ended ({view.status.ended_for}): soakd verdict {view.run.path} shows its verdict"
