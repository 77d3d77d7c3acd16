"""Healthy engines that were written with `later`."""

import asyncio
import ctypes
import itertools
import json
import random
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import Any

from tests.leaks.cases import Case

HERE = "tests.leaks.healthy_later:"

Operation = Callable[[], Any]
AsyncOperation = Callable[[], Coroutine[Any, Any, None]]


def random_cache() -> Operation:
    """A cache whose keys come back at random, most of the time."""
    entries: OrderedDict[int, list[int]] = OrderedDict()
    choose = random.Random(1)

    def operation() -> None:
        key = choose.randrange(1500)
        if key in entries:
            entries.move_to_end(key)
            return
        entries[key] = [key] * 8
        if len(entries) > 600:
            entries.popitem(last=False)

    return operation


def documents() -> Operation:
    """Parse and print documents, and keep the last ten."""
    last: list[Any] = []
    text = json.dumps({"rows": [{"id": n, "name": f"name {n}"} for n in range(20)]})

    def operation() -> None:
        last.append(json.loads(text))
        del last[:-10]

    return operation


def producers() -> AsyncOperation:
    """A bounded queue between two that take turns."""
    waiting: asyncio.Queue[bytes] | None = None

    async def operation() -> None:
        nonlocal waiting
        waiting = waiting or asyncio.Queue(50)
        while not waiting.full():
            waiting.put_nowait(bytes(300))
        for _ in range(10):
            await waiting.get()

    return operation


def ctypes_ring() -> Operation:
    """Blocks through ctypes, each of which lives for 120 operations."""
    libc = ctypes.CDLL(None)
    libc.malloc.argtypes, libc.malloc.restype = [ctypes.c_size_t], ctypes.c_void_p
    libc.free.argtypes = [ctypes.c_void_p]
    ring: list[int] = []
    numbers = itertools.count()

    def operation() -> None:
        ring.append(libc.malloc(100 + next(numbers) % 50))
        if len(ring) > 120:
            libc.free(ring.pop(0))

    return operation


def files() -> Operation:
    """A file that is written, read and closed, for every fourth request."""
    numbers = itertools.count()

    def operation() -> None:
        if next(numbers) % 4 == 0:
            with tempfile.TemporaryFile() as file:
                file.write(bytes(5000))
                file.seek(0)
                file.read()

    return operation


CASES = [
    *(Case(name=name, factory=HERE + name) for name in ("random_cache", "documents", "producers", "ctypes_ring")),
    Case(name="files", factory=f"{HERE}files", route="handles"),
]
