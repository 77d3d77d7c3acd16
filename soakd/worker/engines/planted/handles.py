"""Leaks that are counted, not measured in bytes: descriptors, threads, tasks. One every `every` operations."""

import asyncio
import itertools
import os
import threading
from collections.abc import Callable, Coroutine

Operation = Callable[[], None]
AsyncOperation = Callable[[], Coroutine[None, None, None]]


def descriptor(*, keep: bool, every: int = 1000) -> Operation:
    """Open /dev/null; the twin closes it."""
    numbers = itertools.count(1)

    def operation() -> None:
        if next(numbers) % every:
            return
        fd = os.open(os.devnull, os.O_RDONLY)
        if not keep:
            os.close(fd)

    return operation


def thread(*, keep: bool, every: int = 1000) -> Operation:
    """Start a thread that waits for an event; the twin sets the event."""
    numbers = itertools.count(1)

    def operation() -> None:
        if next(numbers) % every:
            return
        event = threading.Event()
        waiting = threading.Thread(target=event.wait, daemon=True)  # leak: thread
        waiting.start()
        if not keep:
            event.set()
            waiting.join()

    return operation


def task(*, keep: bool, every: int = 100) -> AsyncOperation:
    """Start a task that waits for an event; the twin sets the event."""
    numbers = itertools.count(1)
    background: set[asyncio.Task[bool]] = set()

    async def operation() -> None:
        if next(numbers) % every:
            return
        event = asyncio.Event()
        waiting = asyncio.get_running_loop().create_task(event.wait())  # leak: task
        background.add(waiting)
        waiting.add_done_callback(background.discard)
        if not keep:
            event.set()
            await waiting

    return operation
