"""Leaks of Python objects. Each keeps `bytes_per_operation` per operation, the container's share included."""

import functools
import itertools
import os
from collections.abc import Callable
from typing import Any

HEADER_BYTES = b"".__sizeof__()
LEAST_BYTES = 64

Operation = Callable[[], None]


def python_list(*, keep: bool, bytes_per_operation: int = 100) -> Operation:
    """Append to a list that is never read."""
    kept: list[bytes] = []  # keeps: list
    reference = 8

    def operation() -> None:
        kept.append(_payload(bytes_per_operation - reference))  # leak: list
        if not keep:
            kept.pop()

    return operation


def let_go_at_fork(*, keep: bool, bytes_per_operation: int = 4096) -> Operation:
    """Append to a list that every forked child empties at once, as some libraries do with their pools and caches."""
    kept: list[bytes] = []
    os.register_at_fork(after_in_child=kept.clear)

    def operation() -> None:
        kept.append(_payload(bytes_per_operation))  # leak: let_go_at_fork
        if not keep:
            kept.pop()

    return operation


class Node:
    """Half of a reference cycle."""

    __slots__ = ("other", "payload")

    def __init__(self, payload: bytes) -> None:
        self.payload = payload
        self.other: Node | None = None


def cycle(*, keep: bool, bytes_per_operation: int = 300) -> Operation:
    """Make two objects that refer to each other and register one; the twin leaves both to the collector."""
    registry: list[Node] = []  # keeps: cycle
    two_nodes = 2 * (16 + 16 + 16) + 8  # the collector's header, the object's, its slots; the registry's reference

    def operation() -> None:
        first, second = Node(_payload(bytes_per_operation - two_nodes)), Node(b"")  # leak: cycle
        first.other, second.other = second, first
        if keep:
            registry.append(first)

    return operation


def closure(*, keep: bool, bytes_per_operation: int = 300) -> Operation:
    """Subscribe a callback whose closure holds data; the twin unsubscribes it."""
    subscribers: list[Callable[[], int]] = []  # keeps: closure
    function_and_cell = 160 + 40 + 64 + 8  # function, cell, tuple of cells, reference, on CPython 3.11-3.13

    def operation() -> None:
        request = _payload(bytes_per_operation - function_and_cell)  # leak: closure
        subscribers.append(lambda: len(request))  # leak: closure
        if not keep:
            subscribers.pop()

    return operation


def memoized(*, keep: bool, bytes_per_operation: int = 300, entries: int = 1000) -> Operation:
    """Memoize a function whose arguments never repeat, without a bound; the twin is bounded to `entries`."""
    numbers = itertools.count(10**9)
    entry = 32 + 60  # the number, and its place in a dictionary that doubles: the mean over a long run

    @functools.lru_cache(maxsize=None if keep else entries)
    def answer(_: int) -> Any:
        return _payload(bytes_per_operation - entry)  # leak: lru_cache

    return lambda: answer(next(numbers))


def _payload(size_bytes: int) -> bytes:
    return bytes(max(size_bytes, LEAST_BYTES) - HEADER_BYTES)
