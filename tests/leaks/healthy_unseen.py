"""Healthy engines that were written when the method was fixed, and that were not used to change it."""

import asyncio
import collections
import contextvars
import ctypes
import functools
import itertools
import logging
import logging.handlers
import os
import re
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from tests.leaks import compiled
from tests.leaks.cases import Case

HERE = "tests.leaks.healthy_unseen:"

Operation = Callable[[], Any]
AsyncOperation = Callable[[], Coroutine[Any, Any, None]]


def sliding_window() -> Operation:
    """The last 700 measurements, in a deque with a bound."""
    window: collections.deque[dict[str, float]] = collections.deque(maxlen=700)
    numbers = itertools.count()
    return lambda: window.append({"value": next(numbers) / 7, "other": next(numbers) / 3})


def compiled_patterns() -> Operation:
    """Patterns that are new each time: the cache of `re` is bounded."""
    numbers = itertools.count()
    return lambda: re.compile(f"a{next(numbers)}b")


def buffered_log() -> Operation:
    """A log that is kept in memory and flushed every 250 records."""
    handler = logging.handlers.MemoryHandler(250, target=logging.NullHandler())
    logger = logging.getLogger("tests.leaks.buffered")
    logger.propagate = False
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    numbers = itertools.count()
    return lambda: logger.info("request %d was served in %s", next(numbers), "x" * 80)


def raised_errors() -> Operation:
    """Errors with tracebacks, of which the last 40 are kept."""
    last: collections.deque[Exception] = collections.deque(maxlen=40)
    numbers = itertools.count()

    def operation() -> None:
        try:
            int(f"x{next(numbers)}")
        except ValueError as error:
            last.append(error)

    return operation


def worker_threads() -> Operation:
    """A thread for every twentieth request, which ends."""
    numbers = itertools.count()

    def operation() -> None:
        if next(numbers) % 20 == 0:
            thread = threading.Thread(target=len, args=(bytes(1000),))
            thread.start()
            thread.join()

    return operation


def timers() -> AsyncOperation:
    """A time-out per request, cancelled when it is served: asyncio clears them now and then."""

    async def operation() -> None:
        timer = asyncio.get_running_loop().call_later(60, len, bytes(100))
        await asyncio.sleep(0)
        timer.cancel()

    return operation


def contexts() -> Operation:
    """A context per request, dropped with it."""
    user: contextvars.ContextVar[bytes] = contextvars.ContextVar("user")
    return lambda: contextvars.copy_context().run(user.set, bytes(300))


def c_records() -> Operation:
    """Records that C allocates and the C library's free gives back, 60 later."""
    make = compiled.c_library().make_record
    make.argtypes, make.restype = [ctypes.c_size_t], ctypes.c_void_p
    free = ctypes.CDLL(None).free
    free.argtypes = [ctypes.c_void_p]
    records: collections.deque[int] = collections.deque()

    def operation() -> None:
        records.append(make(200))
        if len(records) > 60:
            free(records.popleft())

    return operation


def open_files() -> Operation:
    """The last thirty files are open."""
    files: collections.deque[int] = collections.deque()

    def operation() -> None:
        files.append(os.open("/dev/zero", os.O_RDONLY))
        if len(files) > 30:
            os.close(files.popleft())

    return operation


def memoized_numbers() -> Operation:
    """A memoized function with a bound of 900, asked about numbers that never come back."""
    numbers = itertools.count(10**6)

    @functools.lru_cache(maxsize=900)
    def words(number: int) -> str:
        return f"number {number}"

    return lambda: words(next(numbers))


CASES = [
    *(
        Case(name=name, factory=HERE + name)
        for name in (
            "sliding_window", "compiled_patterns", "buffered_log", "raised_errors", "timers", "contexts", "c_records",
            "memoized_numbers",
        )
    ),
    Case(name="worker_threads", factory=f"{HERE}worker_threads", route="handles"),
    Case(name="open_files", factory=f"{HERE}open_files", route="handles"),
]  # fmt: skip
