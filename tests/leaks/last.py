"""Leaks that were written when what `later` had shown was mended too."""

import asyncio
import bisect
import ctypes
import functools
import itertools
import os
import socket
import sys
import tempfile
import threading
import types
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from tests.leaks import compiled
from tests.leaks.cases import Case

HERE = "tests.leaks.last:"

Operation = Callable[[], Any]
AsyncOperation = Callable[[], Coroutine[Any, Any, None]]


def sorted_events() -> Operation:
    """Insert into a sorted list, in the middle of it."""
    events: list[tuple[float, str]] = []  # keeps: sorted_events
    numbers = itertools.count()

    def operation() -> None:
        number = next(numbers)
        event = (number * 7919 % 10007 / 7, f"event {number}")  # leak: sorted_events
        bisect.insort(events, event)

    return operation


def new_classes() -> Operation:
    """Make a class per request; a registry of handlers keeps it."""
    handlers: dict[str, type] = {}  # keeps: new_classes
    numbers = itertools.count()

    def operation() -> None:
        name = f"Handler{next(numbers)}"
        handlers[name] = type(name, (), {"path": name})  # leak: new_classes

    return operation


def new_modules() -> Operation:
    """Load a script per request as a module, and leave it in sys.modules."""
    numbers = itertools.count()

    def operation() -> None:
        module = types.ModuleType(f"script_{next(numbers)}")  # leak: new_modules
        sys.modules[module.__name__] = module

    return operation


class Node:
    """A node of a list that knows its neighbours both ways."""

    head: "Node | None" = None

    def __init__(self) -> None:
        self.payload = bytearray(120)  # leak: linked_nodes
        self.next = Node.head
        self.before: Node | None = None
        if Node.head is not None:
            Node.head.before = self
        Node.head = self


def linked_nodes() -> Operation:
    """Push nodes on a doubly linked list: no container grows."""

    def operation() -> None:
        Node()  # leak: linked_nodes

    return operation


def large_buffers() -> Operation:
    """Keep the body of each request: more than Python's own allocator takes."""
    bodies: list[bytearray] = []  # keeps: large_buffers

    def operation() -> None:
        bodies.append(bytearray(3000))  # leak: large_buffers

    return operation


def wrapped_functions() -> Operation:
    """Wrap a function once more with every request."""
    handler: Callable[[], int] = lambda: 0  # noqa: E731 - the innermost
    numbers = itertools.count()

    def operation() -> None:
        nonlocal handler
        inner = handler

        @functools.wraps(inner)  # leak: wrapped_functions
        def outer() -> int:  # leak: wrapped_functions
            return inner()

        if next(numbers) % 2 == 0:
            handler = outer

    return operation


def locked_tasks() -> AsyncOperation:
    """Wait for a lock that somebody holds for ever."""
    lock: asyncio.Lock | None = None
    waiting: set[asyncio.Task[None]] = set()
    numbers = itertools.count()

    async def update(held: asyncio.Lock) -> None:
        async with held:
            pass

    async def operation() -> None:
        nonlocal lock
        if lock is None:
            lock = asyncio.Lock()
            await lock.acquire()
        if next(numbers) % 5 == 0:
            waiting.add(asyncio.create_task(update(lock)))  # leak: locked_tasks

    return operation


def ctypes_calloc() -> Operation:
    """Make a C structure per request through a thin wrapper around calloc."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.calloc.argtypes, libc.calloc.restype = [ctypes.c_size_t, ctypes.c_size_t], ctypes.c_void_p

    def new_structure() -> int:
        return int(libc.calloc(4, 40))  # leak: ctypes_calloc

    def operation() -> None:
        new_structure()

    return operation


def rust_strings() -> Operation:
    """Have Rust intern strings in a map that nobody empties."""
    intern = compiled.rust_library().intern
    intern.argtypes, intern.restype = [ctypes.c_size_t], None
    numbers = itertools.count()
    return lambda: intern(next(numbers))


def temporary_files() -> Operation:
    """Open a file of its own for every twentieth request."""
    folder = Path(tempfile.mkdtemp())
    numbers = itertools.count()

    def operation() -> None:
        if (number := next(numbers)) % 20 == 0:
            os.open(folder / f"upload-{number}", os.O_CREAT | os.O_WRONLY)

    return operation


def accepted() -> Operation:
    """Accept connections whose clients go, and never close them."""
    server = socket.create_server(("127.0.0.1", 0), backlog=16)
    kept: list[int] = []
    numbers = itertools.count()

    def operation() -> None:
        if next(numbers) % 20 == 0:
            with socket.create_connection(server.getsockname()):
                kept.append(server.accept()[0].detach())

    return operation


def watchers() -> Operation:
    """Start a thread with a name per twentieth request; it waits for an event of its own."""
    numbers = itertools.count()

    def wait(event: threading.Event) -> None:
        event.wait()

    def operation() -> None:
        if (number := next(numbers)) % 20 == 0:
            name, event = f"watch-{number}", threading.Event()  # leak: watchers
            threading.Thread(target=wait, args=(event,), name=name, daemon=True).start()  # leak: watchers

    return operation


CASES = [
    *(
        Case(name=name, factory=HERE + name)
        for name in (
            "sorted_events", "new_classes", "new_modules", "linked_nodes", "large_buffers", "wrapped_functions",
            "locked_tasks", "ctypes_calloc", "rust_strings", "watchers",
        )
    ),
    Case(name="temporary_files", factory=f"{HERE}temporary_files", named="descriptors: files in "),
    Case(name="accepted", factory=f"{HERE}accepted", named="127.0.0.1"),
]  # fmt: skip
