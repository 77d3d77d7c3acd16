"""Planted leaks and their leak-free twins."""

import gc
import os
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path

HEAD_BYTES = b"".__sizeof__()
KEPT: list[object] = []
Operation = Callable[[], object]


def global_list(*, keep: bool, size_bytes: int = 200) -> Operation:
    """Keep, or drop, an object of `size_bytes` bytes in each operation."""
    payload = size_bytes - HEAD_BYTES - 8  # its place in the list

    def operate() -> None:
        made = b"x" * (payload - 1) + os.urandom(1)
        if keep:
            KEPT.append(made)

    return operate


class Node:
    """Half of a reference cycle."""

    def __init__(self) -> None:
        self.other: object = None


def cycles(*, keep: bool) -> Operation:
    """Make twenty reference cycles an operation under a lazy collector; keep, or not, a hundred bytes besides."""
    gc.set_threshold(50_000, 50, 100)

    def operate() -> None:
        for _ in range(20):
            a, b = Node(), Node()
            a.other, b.other = b, a
        if keep:
            KEPT.append(os.urandom(100 - 8))

    return operate


class Held:
    """Garbage in a cycle whose finalizer would close what is in use."""

    def __init__(self, close: Callable[[], object]) -> None:
        self.me = self
        self.close = close

    def __del__(self) -> None:
        self.close()


def dangerous_finalizers() -> Operation:
    """Use a socket and a folder that finalizers of garbage would close and remove; fail when they are gone."""
    gc.disable()
    left, right = socket.socketpair()
    folder = tempfile.mkdtemp(prefix="soakd-test-")
    Held(left.close)
    Held(lambda: Path(folder).rmdir())

    def operate() -> None:
        left.send(b"x")
        if right.recv(1) != b"x" or not os.path.isdir(folder):  # noqa: PTH112 - Path interns its parts, and grows
            raise RuntimeError("something in use was taken away")

    return operate
