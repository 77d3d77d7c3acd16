"""Leaks of Python objects. Each keeps `bytes_per_operation` an operation, the container's own part included."""

import functools
import itertools
from collections.abc import Callable
from typing import Any

HEADER_BYTES = b"".__sizeof__()
LEAST_BYTES = 64

Operation = Callable[[], None]


def python_list(*, keep: bool, bytes_per_operation: int = 100) -> Operation:
    """Append to a list that nobody reads."""
    kept: list[bytes] = []  # keeps: list
    reference = 8

    def operation() -> None:
        kept.append(_payload(bytes_per_operation - reference))  # leak: list
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
    """Make two objects that refer to each other; a registry holds one, or only the collector can free them."""
    registry: list[Node] = []  # keeps: cycle
    two_nodes = 2 * (16 + 16 + 16) + 8  # the collector's header, the object's, its slots; the registry's reference

    def operation() -> None:
        first, second = Node(_payload(bytes_per_operation - two_nodes)), Node(b"")  # leak: cycle
        first.other, second.other = second, first
        if keep:
            registry.append(first)

    return operation


def closure(*, keep: bool, bytes_per_operation: int = 300) -> Operation:
    """Subscribe a callback that holds what it was made with, and unsubscribe it, or not."""
    subscribers: list[Callable[[], int]] = []  # keeps: closure
    function_and_cell = 160 + 40 + 64 + 8  # function, cell, tuple of cells, reference: near enough on CPython 3.11-3.13

    def operation() -> None:
        request = _payload(bytes_per_operation - function_and_cell)  # leak: closure
        subscribers.append(lambda: len(request))  # leak: closure
        if not keep:
            subscribers.pop()

    return operation


def memoized(*, keep: bool, bytes_per_operation: int = 300, entries: int = 1000) -> Operation:
    """Memoize a function of an argument that never comes back: without a bound, or with one of `entries`."""
    numbers = itertools.count(10**9)
    entry = 32 + 60  # the number, and its place in a dictionary that doubles: the mean over a long run

    @functools.lru_cache(maxsize=None if keep else entries)
    def answer(_: int) -> Any:
        return _payload(bytes_per_operation - entry)  # leak: lru_cache

    return lambda: answer(next(numbers))


def _payload(size_bytes: int) -> bytes:
    return bytes(max(size_bytes, LEAST_BYTES) - HEADER_BYTES)
