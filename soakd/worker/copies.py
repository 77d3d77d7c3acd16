"""Copies of the worker: forked children that do not end where they should, and come back into soakd's code.

A copy that went on would be a second worker under the first one's name. It ends at the first line of soakd's code that
it comes to, and leaves word in a page of memory that it shares with the worker.
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
"""How many copies came back; the pid of the last one; the length of its reason in bytes, which follows."""
LONGEST_REASON_BYTES = 1000


class Copies:
    """What the worker knows of its copies. Made in the worker itself, before anything may fork."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._page = mmap.mmap(-1, mmap.PAGESIZE)  # anonymous and shared: a child writes, the worker reads
        self._told = 0

    def end_here(self, error: BaseException | None = None) -> None:
        """End this process where it is a copy; return at once where it is the worker.

        A copy that SystemExit takes through here means to end, and does.

        Args:
            error: what brought the copy here; the exception that is being handled where None.
        """
        if os.getpid() != self._pid:
            self._end(error or sys.exc_info()[1])

    def news(self, *, all_of_it: bool) -> dict[str, Any] | None:
        """Return the incident of the copies that came back since the last one; None where there is none.

        Args:
            all_of_it: tell of every copy; otherwise only where their number has doubled: a flood is few incidents.
        """
        count, pid, length = _WORD.unpack_from(self._page)
        came = count - self._told
        if not came or (not all_of_it and count < 2 * self._told):
            return None
        self._told = count
        reason = self._page[_WORD.size : _WORD.size + min(length, LONGEST_REASON_BYTES)].decode("utf-8", "replace")
        who = f"a child process (pid {pid})" if came == 1 else f"{came} child processes (the last one: pid {pid})"
        detail = f"{who} forked by the engine came back into soakd's code and was ended there: {reason}"
        return {"what": "child_returned", "detail": detail, "count": came, "pid": pid}

    def _end(self, error: BaseException | None) -> NoReturn:
        try:
            if isinstance(error, SystemExit):
                os._exit(error.code if isinstance(error.code, int) else int(error.code is not None))
            self._leave_word(_reason(error).encode("utf-8", "backslashreplace")[:LONGEST_REASON_BYTES])
        finally:
            os._exit(STATUS)

    def _leave_word(self, reason: bytes) -> None:
        """Say what brought this copy here, and then count it: the worker may read at any moment."""
        self._page[_WORD.size : _WORD.size + len(reason)] = reason
        count = _WORD.unpack_from(self._page)[0] + 1
        _WORD.pack_into(self._page, 0, count, os.getpid(), len(reason))


def _reason(error: BaseException | None) -> str:
    if error is None:
        return "the operation returned in it"
    try:
        return one_line(error)
    except Exception:  # noqa: BLE001 - of an exception that cannot even be formatted its type is known
        return type(error).__name__
