"""Healthy engines that the method was worked out on: they allocate as much as a leak does, and give it back."""

import asyncio
import itertools
import weakref
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import Any

from tests.leaks.cases import Case

PLANTED = "soakd.worker.engines.planted:"
HERE = "tests.leaks.healthy_known:"


def turning_cache() -> Callable[[], None]:
    """A cache of 300 entries, each of which goes out 300 operations after it came."""
    entries: OrderedDict[int, bytes] = OrderedDict()
    numbers = itertools.count()

    def operation() -> None:
        entries[next(numbers)] = bytes(400)
        if len(entries) > 300:
            entries.popitem(last=False)

    return operation


def slow_cache() -> Callable[[], None]:
    """A cache of 4000 entries, full from the beginning: no window is as long as an entry lives."""
    entries: OrderedDict[int, bytes] = OrderedDict((number, bytes(400)) for number in range(4000))
    numbers = itertools.count(4000)

    def operation() -> None:
        entries[next(numbers)] = bytes(400)
        entries.popitem(last=False)

    return operation


def short_tasks() -> Callable[[], Coroutine[Any, Any, None]]:
    """Tasks that live for a while: some twenty at any time."""
    tasks: set[asyncio.Task[None]] = set()

    async def operation() -> None:
        task = asyncio.get_running_loop().create_task(asyncio.sleep(0.01))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        await asyncio.sleep(0)

    return operation


class Session:
    """What only weak references know."""

    def __init__(self) -> None:
        self.payload = bytes(200)


def weak_sessions() -> Callable[[], None]:
    """Sessions in a weak dictionary; the last hundred are kept alive."""
    alive: list[Session] = []
    known: weakref.WeakValueDictionary[int, Session] = weakref.WeakValueDictionary()
    numbers = itertools.count()

    def operation() -> None:
        session = Session()
        known[next(numbers)] = session
        alive.append(session)
        if len(alive) > 100:
            del alive[0]

    return operation


CASES = [
    *(
        Case(name=name, factory=PLANTED + name, options=options)
        for name, options in (
            ("python_list_twin", {}), ("cycle_twin", {}), ("closure_twin", {}), ("lru_cache_twin", {}),
            ("rust_box_twin", {}), ("pyo3_reference_twin", {}), ("malloc_twin", {}), ("mmap_twin", {}),
            ("gc_sawtooth", {}), ("collector_backlog", {}), ("fragmentation", {"blocks": 8, "survivors": 300}),
        )
    ),
    Case(name="task_twin", factory=f"{PLANTED}task_twin", options={"every": 5}, route="handles"),
    Case(name="thread_twin", factory=f"{PLANTED}thread_twin", options={"every": 10}, route="handles"),
    Case(name="fd_twin", factory=f"{PLANTED}fd_twin", options={"every": 5}, route="handles"),
    Case(name="filling_cache", factory=f"{PLANTED}filling_cache", options={"capacity": 400}),
    *(Case(name=name, factory=HERE + name) for name in ("turning_cache", "slow_cache", "short_tasks", "weak_sessions")),
]  # fmt: skip
