"""Leaks that were written when the method was fixed, and that were not used to change it."""

import asyncio
import ctypes
import functools
import itertools
import os
import socket
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

from tests.leaks import compiled
from tests.leaks.cases import Case

HERE = "tests.leaks.unseen:"

Operation = Callable[[], Any]
AsyncOperation = Callable[[], Coroutine[Any, Any, None]]


class Registry:
    """Knows every session that ever was, by its number."""

    sessions: ClassVar[dict[int, "Registry"]] = {}  # keeps: class_registry

    def __init__(self, number: int) -> None:
        self.user = f"user number {number}"  # leak: class_registry
        Registry.sessions[number] = self  # leak: class_registry


def class_registry() -> Operation:
    """Register in a dictionary of a class, and never sign off."""
    numbers = itertools.count(10**6)
    return lambda: Registry(next(numbers))  # leak: class_registry


def default_groups() -> Operation:
    """Ask a defaultdict about what is not there, which puts it there."""
    groups: defaultdict[str, list[int]] = defaultdict(list)  # keeps: default_groups
    numbers = itertools.count()

    def operation() -> None:
        if groups[f"group {next(numbers)}"]:  # leak: default_groups
            raise AssertionError

    return operation


def partials() -> Operation:
    """Put what is to be done at exit on a list, with its arguments."""
    at_exit: list[functools.partial[int]] = []  # keeps: partials

    def operation() -> None:
        payload = bytes(250)  # leak: partials
        at_exit.append(functools.partial(len, payload))  # leak: partials

    return operation


class Service:
    """A method that is memoized holds every argument, and every service, for ever."""

    @functools.cache  # noqa: B019 - that is the leak
    def price(self, article: int) -> str:
        return f"{article} costs {article * 3}"  # leak: memoized_method


def memoized_method() -> Operation:
    """Make a service per request, and ask it a price."""
    numbers = itertools.count(10**6)

    def operation() -> None:
        Service().price(next(numbers))  # leak: memoized_method

    return operation


def chained_exceptions() -> Operation:
    """Raise each error from the last one, which holds the one before it."""
    last: Exception | None = None

    def operation() -> None:
        nonlocal last
        try:
            try:
                os.environ["NO_SUCH_VARIABLE"]
            except KeyError as error:
                raise ValueError(bytes(150)) from (last or error)  # leak: chained_exceptions
        except ValueError as error:
            last = error.with_traceback(None)

    return operation


def waiting_tasks() -> AsyncOperation:
    """Start a consumer per request, on a queue that gets nothing."""
    consumers: list[asyncio.Task[bytes]] = []
    queue: asyncio.Queue[bytes] | None = None
    numbers = itertools.count()

    async def consume(waiting: "asyncio.Queue[bytes]") -> bytes:
        return await waiting.get()

    async def operation() -> None:
        nonlocal queue
        queue = queue or asyncio.Queue()
        if next(numbers) % 4 == 0:
            consumers.append(asyncio.ensure_future(consume(queue)))  # leak: waiting_tasks

    return operation


def far_timers() -> AsyncOperation:
    """Set a timer of a day per request, and never cancel it."""

    async def operation() -> None:
        note = bytes(120)  # leak: far_timers
        asyncio.get_running_loop().call_later(86_400, len, note)  # leak: far_timers

    return operation


def async_generators() -> AsyncOperation:
    """Take the first row of an answer and keep the cursor open."""
    cursors: list[AsyncGenerator[bytes, None]] = []  # keeps: async_generators

    async def rows() -> AsyncGenerator[bytes, None]:
        row = bytes(220)  # leak: async_generators
        yield row
        yield row

    async def operation() -> None:
        cursor = rows()  # leak: async_generators
        await anext(cursor)
        cursors.append(cursor)

    return operation


def iterators() -> Operation:
    """Zip and map over what is never read to its end."""
    open_iterators: list[Iterator[Any]] = []  # keeps: iterators

    def operation() -> None:
        numbers = [*range(20)]  # leak: iterators
        open_iterators.append(zip(map(str, numbers), numbers, strict=True))  # leak: iterators

    return operation


def c_list() -> Operation:
    """Have C push names on a linked list: a node, and a copy of the name."""
    push = compiled.c_library().push_name
    push.argtypes, push.restype = [ctypes.c_char_p], None
    return lambda: push(b"a name that is long enough to be seen as such " * 3)


def c_new_reference() -> Operation:
    """Have an extension in C make a dictionary and forget to give it back."""
    describe = compiled.c_extension().describe

    def operation() -> None:
        describe(7)  # leak: c_new_reference

    return operation


def ctypes_strdup() -> Operation:
    """Copy a string with strdup, found in the C library by name, and never free it."""
    libc = ctypes.CDLL("libc.so.6")
    copy = libc.strdup
    copy.argtypes, copy.restype = [ctypes.c_char_p], ctypes.c_void_p
    text = b"x" * 180

    def operation() -> None:
        copy(text)  # leak: ctypes_strdup

    return operation


def rust_cycle() -> Operation:
    """Have Rust make two nodes that hold each other by Arc."""
    link = compiled.rust_library().link_pair
    link.argtypes, link.restype = [ctypes.c_size_t], None
    return lambda: link(96)


def c_mapping() -> Operation:
    """Have C map a buffer for every eighth request."""
    take = compiled.c_library().take_buffer
    take.argtypes, take.restype = [ctypes.c_size_t], ctypes.c_void_p
    numbers = itertools.count()

    def operation() -> None:
        if next(numbers) % 8 == 0:
            take(8192)

    return operation


def sockets() -> Operation:
    """Connect for every hundredth request, and keep the connection, both ends of it: a full backlog would wait."""
    server = socket.create_server(("127.0.0.1", 0))
    numbers = itertools.count()
    kept: list[int] = [server.fileno()]

    def operation() -> None:
        if next(numbers) % 100 == 0:
            kept.append(socket.create_connection(server.getsockname()).detach())
            kept.append(server.accept()[0].detach())

    return operation


def named_memory() -> Operation:
    """Make a memory file for every twentieth request."""
    numbers = itertools.count()

    def operation() -> None:
        if next(numbers) % 20 == 0:
            os.memfd_create("scratch")

    return operation


def thread_pools() -> Operation:
    """Make a pool of threads for every tenth request, and never shut it down."""
    pools: list[ThreadPoolExecutor] = []
    numbers = itertools.count()

    def operation() -> None:
        if next(numbers) % 10 == 0:
            pool = ThreadPoolExecutor(1, thread_name_prefix="resize")
            pool.submit(len, b"")  # leak: thread_pools
            pools.append(pool)

    return operation


CASES = [
    *(
        Case(name=name, factory=HERE + name)
        for name in (
            "class_registry", "default_groups", "partials", "memoized_method", "chained_exceptions", "waiting_tasks",
            "far_timers", "async_generators", "iterators", "c_list", "c_new_reference", "ctypes_strdup", "rust_cycle",
            "c_mapping", "thread_pools",
        )
    ),
    Case(name="sockets", factory=f"{HERE}sockets", named="socket connected to 127.0.0.1:"),
    Case(name="named_memory", factory=f"{HERE}named_memory", named="memfd:scratch"),
]  # fmt: skip
