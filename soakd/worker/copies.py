"""Copies of the worker: children that the engine forked and that return into soakd's code.

A copy that continued would be a second worker under the same name. It exits at the first line of soakd's code that it
reaches, and leaves a note in a page of memory that it shares with the worker.
"""

import mmap
import os
import struct
import sys
from typing import Any, NoReturn

from soakd.worker.engines.failures import one_line

STATUS = 70
"""Exit status of a copy that was ended here."""
_WORD = struct.Struct("=IIH")
"""The number of copies so far, the pid of the last one, and the length in bytes of its reason, which follows."""
LONGEST_REASON_BYTES = 1000


class Copies:
    """The shared note about copies. Created in the worker itself, before anything can fork."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._page = mmap.mmap(-1, mmap.PAGESIZE)  # anonymous and shared: a child writes, the worker reads
        self._reported = 0

    def end_here(self, error: BaseException | None = None) -> None:
        """Exit if this process is a copy; return at once if it is the worker.

        A copy that raised SystemExit wanted to exit: it keeps its own status and leaves no note.

        Args:
            error: the exception that brought the copy here; None for the one being handled.
        """
        if os.getpid() != self._pid:
            self._end(error or sys.exc_info()[1])

    def news(self, *, report_all: bool) -> dict[str, Any] | None:
        """Return an incident about the copies since the last report; None if there are none.

        Args:
            report_all: report every copy; otherwise only once their number has doubled, so a flood is few incidents.
        """
        count, pid, length = _WORD.unpack_from(self._page)
        came = count - self._reported
        if not came or (not report_all and count < 2 * self._reported):
            return None
        self._reported = count
        reason = self._page[_WORD.size : _WORD.size + min(length, LONGEST_REASON_BYTES)].decode("utf-8", "replace")
        who = f"a child process (pid {pid})" if came == 1 else f"{came} child processes (the last one: pid {pid})"
        detail = f"{who} forked by the engine returned into soakd's code and was ended there: {reason}"
        return {"what": "child_returned", "detail": detail, "count": came, "pid": pid}

    def _end(self, error: BaseException | None) -> NoReturn:
        try:
            if isinstance(error, SystemExit):
                os._exit(error.code if isinstance(error.code, int) else int(error.code is not None))
            self._leave_note(_reason(error).encode("utf-8", "backslashreplace")[:LONGEST_REASON_BYTES])
        finally:
            os._exit(STATUS)

    def _leave_note(self, reason: bytes) -> None:
        """Write the reason, then the count: the worker may read at any moment."""
        self._page[_WORD.size : _WORD.size + len(reason)] = reason
        count = _WORD.unpack_from(self._page)[0] + 1
        _WORD.pack_into(self._page, 0, count, os.getpid(), len(reason))


def _reason(error: BaseException | None) -> str:
    if error is None:
        return "the operation returned in it"
    try:
        return one_line(error)
    except Exception:  # noqa: BLE001 - for an exception that cannot be formatted, its type will do
        return type(error).__name__
