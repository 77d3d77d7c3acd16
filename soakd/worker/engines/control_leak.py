"""`control.leak`: leaks a known amount, half in Python objects and half in native memory. Must be caught."""

import ctypes
import time
from collections import deque
from collections.abc import Callable, Mapping

from soakd.errors import EngineError
from soakd.wire.spec import Operation

S_PER_HOUR = 3600.0
BLOCK_BYTES = 512
"""The largest block that pymalloc serves itself: one byte more would count as native memory."""
PAYLOAD_BYTES = BLOCK_BYTES - 33  # the header of a bytes object and its closing zero
HELD_BYTES = BLOCK_BYTES + 544 / 64  # a deque keeps 64 references in a block of 528 bytes, with malloc's header 544
NATIVE_BYTES = 512 - 8  # with the header of malloc's chunk, 512


class LeakControl:
    """Leaks blocks of half a kilobyte as they fall due, so that any rate is exact over time.

    The Python half is kept in a deque, not a list: a list grows by an eighth of itself at a time, in visible steps.

    Args:
        bytes_per_operation: to leak for each operation.
        bytes_per_hour: to leak for each hour since the first operation, idle time included.
        clock_s: monotonic seconds.

    Raises:
        EngineError: not exactly one of the two rates is given.
    """

    def __init__(
        self, bytes_per_operation: float | None = None, bytes_per_hour: float | None = None,
        *, clock_s: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        if (bytes_per_operation is None) == (bytes_per_hour is None):
            raise EngineError('kind "control.leak": give either bytes_per_operation or bytes_per_hour')
        self._per_operation = bytes_per_operation
        self._per_hour = bytes_per_hour or 0.0
        self._clock_s = clock_s
        self._since_s: float | None = None
        self._operations = 0
        self._held: deque[bytes] = deque()
        self._held_bytes = 0.0
        self._native_bytes = 0.0
        libc = ctypes.CDLL(None)
        self._malloc = libc.malloc
        self._malloc.restype = ctypes.c_void_p
        self._malloc.argtypes = [ctypes.c_size_t]

    def start(self) -> None:
        """Nothing to start."""

    def operation(self, op: Operation, /) -> None:  # noqa: ARG002 - the operation does not matter
        """Leak the blocks that are due."""
        self._operations += 1
        half = self._owed_bytes() / 2
        while half - self._held_bytes >= HELD_BYTES:
            self._held.append(bytes(PAYLOAD_BYTES))
            self._held_bytes += HELD_BYTES
        while half - self._native_bytes >= BLOCK_BYTES:
            self._leak_native()
            self._native_bytes += BLOCK_BYTES

    def close(self) -> None:
        """Free nothing: it is a leak."""

    def counters(self) -> Mapping[str, float]:
        """Return the bytes leaked so far, by the control's own count."""
        return {"leaked_python_bytes": self._held_bytes, "leaked_native_bytes": self._native_bytes}

    def _owed_bytes(self) -> float:
        if self._per_operation is not None:
            return self._per_operation * self._operations
        now_s = self._clock_s()
        if self._since_s is None:
            self._since_s = now_s
        return self._per_hour * (now_s - self._since_s) / S_PER_HOUR

    def _leak_native(self) -> None:
        address = self._malloc(NATIVE_BYTES)
        if not address:
            raise MemoryError("malloc")
        ctypes.memset(address, 0xA5, NATIVE_BYTES)  # touched, so that it is resident
