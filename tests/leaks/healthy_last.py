"""Healthy engines that were written with `last`."""

import asyncio
import ctypes
import itertools
import socket
import zlib
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.leaks import compiled
from tests.leaks.cases import Case

HERE = "tests.leaks.healthy_last:"

Operation = Callable[[], Any]
AsyncOperation = Callable[[], Coroutine[Any, Any, None]]


def double_buffer() -> Operation:
    """Collect 150 results, hand them over, and collect anew."""
    results: list[dict[str, int]] = []
    handed: list[dict[str, int]] = []
    numbers = itertools.count()

    def operation() -> None:
        nonlocal results, handed
        results.append({"number": next(numbers)})
        if len(results) == 150:
            results, handed = [], results

    return operation


def compressing() -> Operation:
    """Compress and expand: large native blocks that come and go."""
    text = bytes(range(256)) * 40
    return lambda: zlib.decompress(zlib.compress(text, 1))


def pooled() -> Operation:
    """A pool of four threads, which takes whatever comes."""
    pool = ThreadPoolExecutor(4)
    return lambda: pool.submit(sum, range(50)).result()


def echoes() -> AsyncOperation:
    """A connection for every tenth request, closed by both."""
    numbers = itertools.count()

    async def operation() -> None:
        if next(numbers) % 10 == 0:
            ends = socket.socketpair()
            ends[0].sendall(b"x")
            ends[1].recv(1)
            for end in ends:
                end.close()
        await asyncio.sleep(0)

    return operation


def rust_turnover() -> Operation:
    """Have Rust intern strings, and forget the oldest of 200."""
    library = compiled.rust_library()
    library.intern.argtypes = library.forget.argtypes = [ctypes.c_size_t]
    library.intern.restype = library.forget.restype = None
    numbers = itertools.count(10**9)

    def operation() -> None:
        number = next(numbers)
        library.intern(number)
        library.forget(number - 200)

    return operation


CASES = [
    *(Case(name=name, factory=HERE + name) for name in ("double_buffer", "compressing", "pooled", "rust_turnover")),
    Case(name="echoes", factory=f"{HERE}echoes", route="handles"),
]
