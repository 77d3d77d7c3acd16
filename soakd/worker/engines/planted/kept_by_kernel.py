"""Leaks outside of the process's memory: files without a name, files left behind, queues that are never read."""

import fcntl
import os
import socket
import tempfile
from collections.abc import Callable
from itertools import count

Operation = Callable[[], None]

PIPE_BYTES = 1 << 20


def memfd(*, keep: bool, bytes_per_operation: int = 4096) -> Operation:
    """Write to a file in memory, and go on where it ended, or begin again."""
    return _appending(os.memfd_create("planted"), bytes_per_operation, keep=keep)


def deleted_file(*, keep: bool, bytes_per_operation: int = 4096) -> Operation:
    """Write to a temporary file that has no name any more, and go on where it ended, or begin again."""
    file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - it is the engine's, as long as that lives
    return _appending(os.dup(file.fileno()), bytes_per_operation, keep=keep)


def temporary_files(*, keep: bool, bytes_per_operation: int = 4096, every: int = 10) -> Operation:
    """Write a temporary file now and then, and remove it, or not."""
    folder, numbers, data = tempfile.mkdtemp(), count(1), bytes(bytes_per_operation * every)

    def operation() -> None:
        if (number := next(numbers)) % every:
            return
        path = f"{folder}/{number}"
        with open(path, "wb", buffering=0) as file:
            file.write(data)
        if not keep:
            os.unlink(path)  # noqa: PTH108

    return operation


def pipes(*, keep: bool, bytes_per_operation: int = 4096, pipes: int = 48) -> Operation:
    """Write to pipes that were there from the start, and read it, or not."""
    ends = [os.pipe() for _ in range(pipes)]
    for _, write_end in ends:
        os.set_blocking(write_end, False)
        fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    left, data = list(ends), bytes(bytes_per_operation)

    def operation() -> None:
        if not left:
            return
        read_end, write_end = left[-1]
        try:
            os.write(write_end, data)
        except BlockingIOError:
            left.pop()
            return
        if not keep:
            os.read(read_end, len(data))

    return operation


def sockets(*, keep: bool, bytes_per_operation: int = 4096, pairs: int = 400) -> Operation:
    """Send over sockets that were there from the start, and receive it, or not."""
    ends = [socket.socketpair() for _ in range(pairs)]
    for sender, _ in ends:
        sender.setblocking(False)
    full, data = 0, bytes(bytes_per_operation)

    def operation() -> None:
        nonlocal full
        if full == pairs:
            return
        sender, receiver = ends[full]
        try:
            sender.send(data)
        except BlockingIOError:
            full += 1
            return
        if not keep:
            receiver.recv(len(data))

    return operation


def _appending(fd: int, size: int, *, keep: bool) -> Operation:
    data = bytes(size)

    def operation() -> None:
        if not keep:
            os.lseek(fd, 0, os.SEEK_SET)
        os.write(fd, data)

    return operation
