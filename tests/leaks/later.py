"""Leaks that were written when what `unseen` had shown was mended and the method was fixed again."""

import asyncio
import ctypes
import enum
import itertools
import mmap
import queue
import subprocess
import sys
import tempfile
import threading
import warnings
from collections import OrderedDict, deque
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from tests.leaks import compiled
from tests.leaks.cases import Case

HERE = "tests.leaks.later:"

Operation = Callable[[], Any]
AsyncOperation = Callable[[], Coroutine[Any, Any, None]]


class Metrics:
    """Counts by label, and a label is made of the request."""

    __slots__ = ("counts",)

    def __init__(self) -> None:
        self.counts: dict[tuple[str, str], int] = {}  # keeps: labels

    def count(self, path: str, user: str) -> None:
        labels = path, f"user={user}"  # leak: labels
        self.counts[labels] = self.counts.get(labels, 0) + 1  # leak: labels


def labels() -> Operation:
    """Count requests by user."""
    metrics, numbers = Metrics(), itertools.count(10**6)

    def operation() -> None:
        metrics.count("/basket", str(next(numbers)))  # leak: labels

    return operation


def unbounded_queue() -> Operation:
    """Put on a queue faster than is taken."""
    waiting: queue.Queue[list[int]] = queue.Queue()

    def operation() -> None:
        waiting.put([1, 2, 3])  # leak: unbounded_queue
        waiting.put([4, 5, 6])  # leak: unbounded_queue
        waiting.get()

    return operation


class Stage(enum.Enum):
    """A stage of an order."""

    OPEN = 1
    DONE = 2


def history() -> Operation:
    """Keep the history of orders: an ordered dictionary in a list of a tuple."""
    orders: tuple[str, deque[OrderedDict[str, Stage]]] = ("orders", deque())

    def operation() -> None:
        order = OrderedDict(first=Stage.OPEN, last=Stage.DONE)  # leak: history
        orders[1].append(order)

    return operation


_local = threading.local()


def thread_local() -> Operation:
    """Remember requests in the thread's own list, and let the thread live."""

    def operation() -> None:
        if not hasattr(_local, "requests"):
            _local.requests = []
        _local.requests.append({"path": "/", "size": 7})  # leak: thread_local

    return operation


def seen_warnings() -> Operation:
    """Warn with a text that is new each time: the module's registry keeps them all."""
    numbers = itertools.count()

    def operation() -> None:
        warnings.warn(f"request {next(numbers)} is slow", stacklevel=1)  # leak: seen_warnings

    warnings.simplefilter("default")
    warnings.showwarning = lambda *_, **__: None
    return operation


def gathered() -> AsyncOperation:
    """Wait for the first of two, and leave the second to wait for ever."""
    never: list[asyncio.Future[None]] = []

    async def answer() -> bytes:
        return b""

    async def operation() -> None:
        slow = asyncio.get_running_loop().create_future()
        never.append(slow)
        second = asyncio.ensure_future(asyncio.wait_for(slow, None))  # leak: gathered
        await asyncio.wait([asyncio.ensure_future(answer()), second], return_when=asyncio.FIRST_COMPLETED)

    return operation


def c_growing_array() -> Operation:
    """Have C append to an array that doubles, with a block per entry."""
    append = compiled.c_library().append_block
    append.argtypes, append.restype = [ctypes.c_size_t], None
    return lambda: append(144)


def shared_memory() -> Operation:
    """Map a file for every tenth request, write to it and keep it mapped."""
    folder = Path(tempfile.mkdtemp())
    kept: list[mmap.mmap] = []  # keeps: shared_memory
    numbers = itertools.count()

    def operation() -> None:
        if next(numbers) % 10 == 0:
            with tempfile.TemporaryFile(dir=folder) as file:
                file.truncate(8192)
                kept.append(mmap.mmap(file.fileno(), 8192, flags=mmap.MAP_PRIVATE))  # leak: shared_memory
                kept[-1][:] = bytes(8192)

    return operation


def pipes() -> Operation:
    """Make a pipe to talk to itself for every twentieth request."""
    import os

    numbers = itertools.count()

    def operation() -> None:
        if next(numbers) % 20 == 0:
            os.pipe()

    return operation


def zombies() -> Operation:
    """Keep what started processes are read by: a pipe each."""
    kept: list[Any] = []
    numbers = itertools.count()

    def operation() -> None:
        if next(numbers) % 100 == 0:
            kept.append(subprocess.Popen([sys.executable, "-I", "-S", "-c", ""], stdout=subprocess.PIPE))

    return operation


CASES = [
    *(
        Case(name=name, factory=HERE + name)
        for name in (
            "labels", "unbounded_queue", "history", "thread_local", "gathered", "c_growing_array", "shared_memory",
        )
    ),
    Case(name="seen_warnings", factory=f"{HERE}seen_warnings", named="dict `tests.leaks.later.__warningregistry__`"),
    Case(name="pipes", factory=f"{HERE}pipes", named="descriptors: pipe"),
    Case(name="zombies", factory=f"{HERE}zombies", named="descriptors: pipe"),
]  # fmt: skip
