"""Engines that fork, and engines whose process does not end when its work has."""

import atexit
import ctypes
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Awaitable, Callable

Operation = Callable[[], object]
FORK_EVERY = 40
RECORD_FD = 4


def _forks(child: Callable[[], object], fork: Callable[[], int] = os.fork, every: int = FORK_EVERY) -> Operation:
    """Fork now and then; what `child` does not end goes on as if it were the engine."""
    count = iter(range(10**12))

    def operate() -> None:
        if next(count) % every == every - 1 and fork() == 0:
            child()

    return operate


def _raise() -> None:
    raise RuntimeError("what the child wanted is not there")


def child_raises() -> Operation:
    return _forks(_raise)


def child_returns() -> Operation:
    return _forks(lambda: None)


def child_raises_beside_a_leak() -> Operation:
    """Keep 200 bytes an operation."""
    kept: list[bytes] = []
    forking = _forks(_raise, every=400)

    def operate() -> None:
        kept.append(bytes(167))
        forking()

    return operate


def child_leaves() -> Operation:
    return _forks(lambda: sys.exit(3))


def child_ends_in_order() -> Operation:
    return _forks(lambda: os._exit(0))


def native_child_returns() -> Operation:
    """Fork behind the interpreter's back."""
    return _forks(lambda: None, ctypes.CDLL(None).fork)


def child_raises_asynchronously() -> Callable[[], Awaitable[None]]:
    return _awaitable(child_raises())


def child_returns_asynchronously() -> Callable[[], Awaitable[None]]:
    return _awaitable(child_returns())


def child_leaves_asynchronously() -> Callable[[], Awaitable[None]]:
    return _awaitable(child_leaves())


def _awaitable(operate: Operation) -> Callable[[], Awaitable[None]]:
    import asyncio

    async def operate_soon() -> None:
        await asyncio.sleep(0)
        operate()

    return operate_soon


def children_of_multiprocessing() -> Operation:
    """Start children that try to write to the worker's pipe, and raise."""
    context = multiprocessing.get_context("fork")
    children: list[multiprocessing.process.BaseProcess] = []

    def start() -> int:
        children.append(context.Process(target=_write_and_raise))
        children[-1].start()
        return 1

    return _forks(lambda: None, start, every=20)


def _write_and_raise() -> None:
    try:
        os.write(RECORD_FD, b"a child speaks\n")
    finally:
        _raise()


def writes_to_the_record_pipe(lines: int) -> Operation:
    """Write what looks like records, and what does not, to a file descriptor that is not the engine's."""
    count = iter(range(10**12))

    def operate() -> None:
        if next(count) < lines:
            os.write(
                RECORD_FD,
                b'{"v":1,"kind":"incident","engine":"mine","segment":0,"at":[1,2,3],'
                b'"body":{"what":"forged","detail":"not by the worker"}}\n',
            )

    return operate


def ends_badly(how: str) -> Operation:
    """Work as it should; then end its process in a way of its own, when the interpreter shuts down."""
    if how == "thread":
        threading.Thread(target=time.sleep, args=(600.0,), name="flusher").start()
    else:
        endings: dict[str, Callable[[], object]] = {
            "segfault": lambda: ctypes.string_at(0),
            "exit": lambda: os._exit(7),
            "hang": lambda: time.sleep(600.0),
        }
        atexit.register(endings[how])
    return lambda: bytes(200)
