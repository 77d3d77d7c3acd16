"""Leaks that the method was worked out on, beside those of `soakd.worker.engines.planted`."""

import asyncio
import contextvars
import ctypes
import itertools
import mmap
from collections.abc import Callable, Coroutine, Generator
from typing import Any

from tests.leaks import compiled
from tests.leaks.cases import Case

PLANTED = "soakd.worker.engines.planted:"
HERE = "tests.leaks.known:"

Operation = Callable[[], Any]
AsyncOperation = Callable[[], Coroutine[Any, Any, None]]


def kept_exceptions() -> Operation:
    """Keep what was raised, for a report that nobody reads: traceback, frames, and what their variables hold."""
    errors: list[Exception] = []  # keeps: kept_exceptions
    numbers = itertools.count()

    def parse(text: str) -> int:
        document = text * 20  # leak: kept_exceptions
        return int(document)  # leak: kept_exceptions

    def operation() -> None:
        try:
            parse(f"x{next(numbers)}")  # leak: kept_exceptions
        except ValueError as error:
            errors.append(error)

    return operation


_user: contextvars.ContextVar[dict[str, str] | None] = contextvars.ContextVar("user", default=None)


def context_variables() -> Operation:
    """Run each request in a context of its own, and keep the contexts."""
    contexts: list[contextvars.Context] = []  # keeps: context_variables
    numbers = itertools.count()

    def handle() -> None:
        _user.set({"name": f"user {next(numbers)}"})  # leak: context_variables

    def operation() -> None:
        context = contextvars.copy_context()
        context.run(handle)
        contexts.append(context)

    return operation


def callbacks() -> AsyncOperation:
    """Ask to be told when a future is done that never is."""
    stopping: asyncio.Future[None] | None = None
    told: list[str] = []
    numbers = itertools.count()

    async def operation() -> None:
        nonlocal stopping
        if stopping is None:
            stopping = asyncio.get_running_loop().create_future()
        name = f"request {next(numbers)}"
        stopping.add_done_callback(lambda _: told.append(name))  # leak: callbacks

    return operation


def generators() -> Operation:
    """Begin to read pages, and never go on."""
    readers: list[Generator[bytes, None, None]] = []  # keeps: generators

    def pages() -> Generator[bytes, None, None]:
        page = bytes(300)  # leak: generators
        yield page
        yield page

    def operation() -> None:
        reader = pages()  # leak: generators
        next(reader)
        readers.append(reader)

    return operation


def c_malloc() -> Operation:
    """Have a C library make a record, and never have it freed."""
    make = compiled.c_library().make_record
    make.argtypes, make.restype = [ctypes.c_size_t], ctypes.c_void_p
    return lambda: make(200)


def c_reference() -> Operation:
    """Give an extension in C an object; it takes a reference and drops none."""
    remember = compiled.c_extension().remember

    def operation() -> None:
        remember(bytes(300))  # leak: c_reference

    return operation


def rust_static() -> Operation:
    """Have Rust append to a static vector."""
    record = compiled.rust_library().record_event
    record.argtypes, record.restype = [ctypes.c_size_t], None
    return lambda: record(128)


def python_mappings() -> Operation:
    """Map memory for every tenth request, and keep it."""
    buffers: list[mmap.mmap] = []  # keeps: python_mappings
    numbers = itertools.count()

    def operation() -> None:
        if next(numbers) % 10 == 0:
            buffer = mmap.mmap(-1, 16_384)  # leak: python_mappings
            buffer[:] = bytes(16_384)
            buffers.append(buffer)

    return operation


CASES = [
    Case(name="list", factory=f"{PLANTED}python_list_leak"),
    Case(name="cycle", factory=f"{PLANTED}cycle_leak"),
    Case(name="closure", factory=f"{PLANTED}closure_leak"),
    Case(name="lru_cache", factory=f"{PLANTED}lru_cache_leak"),
    Case(name="task", factory=f"{PLANTED}task_leak", options={"every": 5}),
    Case(name="thread", factory=f"{PLANTED}thread_leak", options={"every": 10}),
    Case(name="descriptor", factory=f"{PLANTED}fd_leak", options={"every": 5}, named="descriptors: /dev/null"),
    Case(name="ctypes_malloc", factory=f"{PLANTED}malloc_leak"),
    Case(name="ctypes_mmap", factory=f"{PLANTED}mmap_leak", options={"bytes_per_operation": 400}),
    Case(name="rust_box", factory=f"{PLANTED}rust_box_leak", named=" in leak_box, called from soakd/worker/engines/"),
    Case(name="pyo3_reference", factory=f"{PLANTED}pyo3_reference_leak"),
    *(
        Case(name=name, factory=HERE + name)
        for name in (
            "kept_exceptions", "context_variables", "callbacks", "generators", "c_malloc", "c_reference", "rust_static",
            "python_mappings",
        )
    ),
]  # fmt: skip
