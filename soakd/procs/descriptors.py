"""What the open descriptors of processes hold, read from outside: files without a name, unread pipes and sockets.

No counter of a process shows these: a memfd or a deleted file takes memory or disk until its last descriptor closes,
and what is unread in a pipe or a socket is the kernel's.
"""

import contextlib
import ctypes
import errno
import fcntl
import os
import socket
import stat
import struct
import termios
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

BLOCK_BYTES = 512
SHARED_MEMORY = "/dev/shm/"  # noqa: S108 - looked for, not written to
MOST_ASKED = 2000
"""Pipes and sockets whose queues are asked for in one reading, 20 us each; with more of them, none is reported."""
KINDS = (
    ("socket:", "socket"), ("pipe:", "pipe"), ("/memfd:", "memfd"), ("anon_inode:[eventpoll]", "epoll"),
    ("anon_inode:[eventfd]", "eventfd"), ("anon_inode:[io_uring]", "io_uring"), ("anon_inode:", "anon"),
    (SHARED_MEMORY, "file"), ("/dev/", "device"),
)  # fmt: skip
"""Begin of a descriptor's target -> its kind; see proc_pid_fd(5)."""
DELETED = " (deleted)"
QUEUES = ("socket", "pipe")
UNNAMED = ("memfd", "deleted")
CLOSED = (errno.EBADF, errno.ESRCH)
"""The process has closed the descriptor, or has ended, just then: nothing is held by it."""
_PIDFD_GETFD = 438
"""pidfd_getfd(2): the number is the same on all machines."""
_SO_MEMINFO, _MEMINFO = 55, struct.Struct("9I")
_RECEIVED, _SENT, _WAITING = 0, 2, 5
"""Of SO_MEMINFO: bytes of what was received, of what was sent and not taken yet, of what waits to be sent."""

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(slots=True)
class Held:
    """What some processes hold; each thing counts once, however many descriptors lead to it."""

    counts: Counter[str] = field(default_factory=Counter)
    """Descriptors by kind."""
    unnamed_bytes: int = 0
    """Of memfds and deleted files."""
    written_bytes: int = 0
    """Of files with a name that are open for writing."""
    queued_bytes: int | None = 0
    """Of what is unread in pipes and sockets; None if it must not be read."""
    seen: set[tuple[int, int]] = field(default_factory=set)
    asked: int = 0


def kind_of(target: str) -> str:
    """Return the kind of a descriptor by the target of its link."""
    kind = next((kind for beginning, kind in KINDS if target.startswith(beginning)), "file")
    return "deleted" if kind == "file" and target.endswith(DELETED) else kind


def read_held(pids: Iterable[int]) -> Held:
    """Read what processes hold; one that is gone, or not ours to read, counts as holding nothing."""
    held = Held()
    for pid in pids:
        with contextlib.suppress(OSError), _pidfd(pid) as process:
            for number in os.listdir(f"/proc/{pid}/fd"):  # noqa: PTH208 - no Path object per descriptor
                with contextlib.suppress(FileNotFoundError):
                    _add(held, process, f"/proc/{pid}/fd/{number}", int(number))
    return held


@contextlib.contextmanager
def _pidfd(pid: int) -> Iterator[int]:
    process = os.pidfd_open(pid)
    try:
        yield process
    finally:
        os.close(process)


def _add(held: Held, process: int, path: str, number: int) -> None:
    kind = kind_of(os.readlink(path))  # noqa: PTH115
    held.counts[kind] += 1
    if kind in QUEUES:
        _add_queue(held, process, path, number)
    elif kind in (*UNNAMED, "file"):
        target = os.stat(path)  # noqa: PTH116
        if not stat.S_ISREG(target.st_mode) or not _is_new(held, target):
            return
        if kind in UNNAMED:
            held.unnamed_bytes += target.st_blocks * BLOCK_BYTES
        elif os.lstat(path).st_mode & stat.S_IWUSR:  # of the link: how it was opened
            held.written_bytes += target.st_blocks * BLOCK_BYTES


def _is_new(held: Held, target: os.stat_result) -> bool:
    key = target.st_dev, target.st_ino
    new = key not in held.seen
    held.seen.add(key)
    return new


def _add_queue(held: Held, process: int, path: str, number: int) -> None:
    if held.queued_bytes is None or not _is_new(held, os.stat(path)):  # noqa: PTH116
        return
    held.asked += 1
    # A copy for an instant: what it leads to stays open for so long, even if the process closes it just then.
    copy = _libc.syscall(_PIDFD_GETFD, process, number, 0) if held.asked <= MOST_ASKED else -1
    if copy < 0:
        if held.asked > MOST_ASKED or ctypes.get_errno() not in CLOSED:
            held.queued_bytes = None
        return
    try:
        held.queued_bytes += _queued_bytes(copy)
    finally:
        os.close(copy)


def _queued_bytes(copy: int) -> int:
    """Return what is unread in a pipe, or the memory of what is in the queues of a socket."""
    try:
        if stat.S_ISFIFO(os.fstat(copy).st_mode):
            return int(struct.unpack("i", fcntl.ioctl(copy, termios.FIONREAD, bytes(4)))[0])
        # With a family given, it is not asked for its name, which not every family knows; any family will do.
        asked = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fileno=copy)
        try:
            memory = _MEMINFO.unpack(asked.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size))
        finally:
            asked.detach()  # the copy is closed by who made it
        return int(memory[_RECEIVED] + max(memory[_SENT], memory[_WAITING]))
    except (OSError, struct.error):
        return 0
