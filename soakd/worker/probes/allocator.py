"""Exact live bytes: what pymalloc and glibc's malloc have handed out and not got back; and what they hold in reserve.

Nothing is kept between calls; a call creates some 700 bytes of short-lived objects. Not seen: raw mmap, thread stacks,
and private allocators such as jemalloc or mimalloc inside an extension.
"""

import ctypes
import importlib
from collections.abc import Callable

from soakd.errors import ProbeError
from soakd.worker.probes.tcache import MainThreadCache
from soakd.worker.probes.timing import Absent

_ALLOCATED, _AVAILABLE, _UNUSED_POOLS = (
    b"# bytes in allocated blocks",
    b"# bytes in available blocks",
    b" unused pools * ",
)


class _Mallinfo2(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost",
        )
    ]  # fmt: skip


_libc = ctypes.CDLL(None)  # releases the GIL: walking long free lists must not stop the other threads
_libc_with_gil = ctypes.PyDLL(None)
_open_memstream = _libc_with_gil.open_memstream
_open_memstream.restype = ctypes.c_void_p
_open_memstream.argtypes = (ctypes.POINTER(ctypes.c_char_p), ctypes.POINTER(ctypes.c_size_t))
_fclose = _libc_with_gil.fclose
_fclose.argtypes = (ctypes.c_void_p,)
_release = _libc_with_gil.free
_release.argtypes = (ctypes.POINTER(ctypes.c_char),)
_release.restype = None
_write_stats = getattr(ctypes.pythonapi, "_PyObject_DebugMallocStats", None)
if _write_stats is not None:
    _write_stats.argtypes = (ctypes.c_void_p,)
    _write_stats.restype = ctypes.c_int
_mallinfo2 = getattr(_libc, "mallinfo2", None)
if _mallinfo2 is not None:
    _mallinfo2.restype = _Mallinfo2
    _mallinfo2.argtypes = ()
_main_thread_cache = MainThreadCache()


def live_python_bytes() -> int:
    """Return the bytes in blocks that pymalloc has handed out (objects up to 512 bytes), without headers or padding.

    Raises:
        Absent: pymalloc is off (PYTHONMALLOC=malloc); `live_native_bytes` then includes every object.
        ProbeError: the interpreter's statistics could not be read.
    """
    return python_bytes()["live_python_bytes"]


def python_bytes() -> dict[str, int]:
    """Return the bytes in blocks that pymalloc has handed out, and the bytes in its free blocks and unused pools.

    Returns:
        live_python_bytes and python_free_bytes. Free bytes that grow while live bytes do not are fragmentation.

    Raises:
        Absent, ProbeError: as for `live_python_bytes`.

    Source: CPython, Objects/obmalloc.c, _PyObject_DebugMallocStats, "# bytes in allocated blocks". Called with a memory
    stream, where sys._debugmallocstats() would write to fd 2, and with the GIL held, as it must be.
    """
    if _write_stats is None:
        raise Absent("this interpreter has no _PyObject_DebugMallocStats")
    text, size = ctypes.POINTER(ctypes.c_char)(), ctypes.c_size_t()
    stream = _open_memstream(ctypes.cast(ctypes.byref(text), ctypes.POINTER(ctypes.c_char_p)), ctypes.byref(size))
    if not stream:
        raise ProbeError("open_memstream failed: no memory")
    try:
        has_pymalloc = _write_stats(stream)
    finally:
        _fclose(stream)
    try:
        if not has_pymalloc:
            raise Absent("pymalloc is off (PYTHONMALLOC): every object is in live_native_bytes")
        statistics = ctypes.string_at(text, size.value)
        return {"live_python_bytes": _bytes_in_allocated_blocks(statistics), "python_free_bytes": _free(statistics)}
    finally:
        _release(text)


def live_native_bytes() -> int:
    """Return the bytes in chunks that glibc's malloc has handed out, in all arenas and mmapped chunks, with headers.

    Chunks in the threads' caches count as handed out: at most 74 KB per thread.

    Raises:
        Absent: the C library has no mallinfo2 (glibc before 2.33, musl).
    """
    return native_bytes()["live_native_bytes"]


def native_bytes() -> dict[str, int]:
    """Return the bytes in chunks that glibc's malloc has handed out, and in chunks that it keeps for reuse.

    The main thread's cache of freed blocks counts as kept for reuse; mallinfo2 counts it as handed out.

    Returns:
        live_native_bytes and native_free_bytes.

    Raises:
        Absent: as for `live_native_bytes`.

    Source: mallinfo(3), uordblks + hblkhd, and fordblks.
    """
    if _mallinfo2 is None:
        raise Absent("the C library has no mallinfo2 (glibc >= 2.33 has)")
    info = _mallinfo2()
    cached = _main_thread_cache.bytes()
    return {
        "live_native_bytes": int(info.uordblks + info.hblkhd) - cached,
        "native_free_bytes": int(info.fordblks) + cached,
    }


def rust_bytes_reader() -> Callable[[], int] | None:
    """Return the reader of `soakd._native`'s counting allocator (bytes); None if it cannot be loaded."""
    try:
        native = importlib.import_module("soakd._native")
    except ImportError:
        return None
    return getattr(native, "rust_bytes", None)


def _bytes_in_allocated_blocks(text: bytes) -> int:
    """Find "# bytes in allocated blocks        =           12,345,678" in the text."""
    count = _number_after(text, _ALLOCATED)
    if count is None:
        raise ProbeError("the interpreter's statistics have no line of bytes in allocated blocks")
    return count


def _free(text: bytes) -> int:
    """Add up "# bytes in available blocks = 339,728" and "55 unused pools * 16384 bytes = 901,120"; 0 without them."""
    return (_number_after(text, _AVAILABLE) or 0) + (_number_after(text, _UNUSED_POOLS) or 0)


def _number_after(text: bytes, words: bytes) -> int | None:
    at = text.rfind(words)
    if at < 0:
        return None
    return int(text[text.index(b"=", at) + 1 : text.index(b"\n", at)].replace(b",", b""))
