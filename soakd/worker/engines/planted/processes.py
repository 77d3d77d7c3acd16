"""Leaks in child processes, which no counter of the engine's own process shows; and parts that end unnoticed."""

import hashlib
import itertools
import math
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from queue import SimpleQueue

Operation = Callable[[], None]

_CONSUMER = """
import sys
kept = []
for line in sys.stdin.buffer:
    data = bytearray(int(line))
    if sys.argv[1] == "keep":
        kept.append(data)
    sys.stdout.buffer.write(b".")
    sys.stdout.buffer.flush()
"""


def growing_child(*, keep: bool, bytes_per_operation: int = 4096) -> Operation:
    """Have a child process allocate in each operation, and keep it, or not."""
    child = _consumer("keep" if keep else "drop")
    assert child.stdin is not None
    assert child.stdout is not None
    write, read, order = child.stdin.write, child.stdout.read, b"%d\n" % bytes_per_operation

    def operation() -> None:
        write(order)
        read(1)

    return operation


def more_children(*, keep: bool, every: int = 100) -> Operation:
    """Start a child process now and then, and end it, or leave it."""
    numbers = itertools.count(1)

    def operation() -> None:
        if next(numbers) % every:
            return
        pid = os.posix_spawn("/bin/sleep", ["sleep", "3600"], {})
        if not keep:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)

    return operation


def zombies(*, keep: bool, every: int = 20) -> Operation:
    """Start a program that ends at once, and ask for its exit status, or not."""
    numbers = itertools.count(1)

    def operation() -> None:
        if next(numbers) % every:
            return
        pid = os.posix_spawn("/bin/true", ["true"], {})
        if not keep:
            os.waitpid(pid, 0)

    return operation


def dying_child(*, dies: bool, after: int = 1000) -> Operation:
    """Hand each operation to a child process that dies, or not; errors of its pipe are swallowed."""
    child, numbers = _consumer("drop"), itertools.count(1)
    assert child.stdin is not None
    assert child.stdout is not None
    write, read = child.stdin.write, child.stdout.read

    def operation() -> None:
        if next(numbers) == after and dies:
            child.kill()
            child.wait()
        try:
            write(b"100\n")
            read(1)
        except OSError:
            pass

    return operation


def dying_thread(*, dies: bool, after: int = 1000) -> Operation:
    """Hand each operation to a thread that ends, or not; what it does not take is dropped silently."""
    numbers, waiting = itertools.count(1), SimpleQueue[int]()

    def consume() -> None:
        while waiting.get() < after or not dies:
            pass

    threading.Thread(target=consume, daemon=True).start()

    def operation() -> None:
        number = next(numbers)
        if number <= after or not dies:
            waiting.put(number)

    return operation


class Swallowing:
    """Has a backend that refuses everything from some operation on, or not, and swallows that; it may count it."""

    def __init__(self, *, refuses: bool, after: int = 5000, work: int = 1000, tells: bool = False) -> None:
        self._refused_from = after if refuses else math.inf
        self._work, self._tells = work, tells
        self._numbers = itertools.count(1)
        self._swallowed = 0

    def operation(self) -> None:
        """Ask the backend."""
        try:
            self._ask(next(self._numbers))
        except ConnectionRefusedError:
            self._swallowed += 1

    def counters(self) -> Mapping[str, float]:
        """Return what was swallowed."""
        return {"swallowed_errors": self._swallowed} if self._tells else {}

    def _ask(self, number: int) -> None:
        if number > self._refused_from:
            raise ConnectionRefusedError
        for _ in range(self._work):
            hashlib.sha256(b"x" * 100).digest()


def _consumer(what: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-S", "-c", _CONSUMER, what], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    )
