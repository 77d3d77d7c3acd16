"""Leaks of what is counted, not weighed: descriptors, threads, tasks. One every `every` operations."""

import asyncio
import itertools
import os
import threading
from collections.abc import Callable, Coroutine

Operation = Callable[[], None]
AsyncOperation = Callable[[], Coroutine[None, None, None]]


def descriptor(*, keep: bool, every: int = 1000) -> Operation:
    """Open /dev/null and close it, or not."""
    numbers = itertools.count(1)

    def operation() -> None:
        if next(numbers) % every:
            return
        fd = os.open(os.devnull, os.O_RDONLY)
        if not keep:
            os.close(fd)

    return operation


def thread(*, keep: bool, every: int = 1000) -> Operation:
    """Start a thread that waits for an event; set the event, or another."""
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
    """Start a task that waits for an event; set the event, or nobody does."""
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
