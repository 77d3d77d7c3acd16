"""Reachable bytes, the leak signal: live bytes after a full collection, read in a forked child.

The judged process itself is never forced to collect. A full collection also empties the interpreter's free lists. The
child is a copy of one thread; glibc holds the locks of all its arenas across fork, so malloc and mallinfo2 work in it
whatever the parent's other threads were doing (malloc/arena.c, __malloc_fork_lock_parent). The child's own memory is
the same every time: a constant, which is not growth.
"""

import gc
from contextlib import suppress

from soakd.worker.probes.allocator import live_native_bytes, live_python_bytes
from soakd.worker.probes.timing import Absent

MOST_ROUNDS = 3


def read_reachable() -> dict[str, int]:
    """Collect until nothing more is found, at most three times (finalizers make garbage), and read live bytes.

    Returns:
        `reachable_python_bytes` and `reachable_native_bytes`; only one if the process has only that signal. And
        `reachable_copied_bytes`: the live bytes before it collects. What a hook of the engine's has released at the
        fork (os.register_at_fork, pthread_atfork) is missing in them, and in no other way can it be told.
    """
    copied = sum(_live_bytes().values())
    for _ in range(MOST_ROUNDS):
        if not gc.collect():
            break
    values = {f"reachable_{part}_bytes": size for part, size in _live_bytes().items()}
    return {**values, "reachable_copied_bytes": copied}


def _live_bytes() -> dict[str, int]:
    """Read the parts that this process has."""
    values = {}
    for part, read in (("python", live_python_bytes), ("native", live_native_bytes)):
        with suppress(Absent):
            values[part] = read()
    return values
