"""Finds who calls malloc or mmap through ctypes. memray cannot see these calls: it patches what libraries call.

A foreign function of ctypes holds the address that it calls. During a window, functions that hold the address of a C
library allocator get the address of a callback instead, which calls the allocator and keeps the Python stack of each
block until it is freed. Afterwards every address is restored.

Source: CPython, Modules/_ctypes/_ctypes.c: the first word of a function's buffer is what it calls.
"""

import ctypes
import gc
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache, partial
from types import FrameType
from typing import Any, cast

from soakd.worker.attribution.frames import MOST_FRAMES, Frame, is_application
from soakd.worker.attribution.resolve import Key, Seen

MOST_BLOCKS = 100_000
_SIZE, _POINTER, _INT = ctypes.c_size_t, ctypes.c_void_p, ctypes.c_int
_TAKES: dict[str, tuple[Any, ...]] = {
    "malloc": (_SIZE,), "calloc": (_SIZE, _SIZE), "realloc": (_POINTER, _SIZE), "aligned_alloc": (_SIZE, _SIZE),
    "memalign": (_SIZE, _SIZE), "strdup": (_POINTER,), "strndup": (_POINTER, _SIZE), "free": (_POINTER,),
    "mmap": (_POINTER, _SIZE, _INT, _INT, _INT, ctypes.c_long), "munmap": (_POINTER, _SIZE),
}  # fmt: skip
_FREES = ("free", "munmap")
_GIVES = {"free": None, "munmap": _INT}
_FAILED = (None, ctypes.c_void_p(-1).value)


class ForeignCalls:
    """Records allocations made through ctypes while it is open; one instance at a time."""

    def __init__(self) -> None:
        self._blocks: dict[int, tuple[int, Key]] = {}
        self._stacks: dict[Key, tuple[Frame, ...]] = {}
        self._changed: list[tuple[Any, int]] = []

    def open(self) -> None:
        """Find the foreign functions, and redirect them."""
        own, places = _library()
        hidden = {id(function) for function in own.values()}
        for function in _functions():
            name = places.get(_address_of(function))
            if name is not None and id(function) not in hidden:
                self._changed.append((function, _address_of(function)))
                _point(function, _callback(name))
        if self._changed:
            _open.append(self)

    def close(self) -> dict[Key, Seen]:
        """Restore every address, and return what has not been freed, by the leaf-most application line."""
        for function, address in self._changed:
            _point(function, address)
        self._changed.clear()
        with suppress(ValueError):
            _open.remove(self)
        found: dict[Key, Seen] = {}
        for size, key in list(self._blocks.values()):
            before = found.get(key, Seen(0, 0, ()))
            found[key] = Seen(before.size_bytes + size, before.blocks + 1, self._stacks[key])
        self._blocks.clear()
        self._stacks.clear()
        return found

    def took(self, address: int, size: int) -> None:
        """Record a block and the stack that allocated it."""
        if len(self._blocks) >= MOST_BLOCKS:
            return
        stack = tuple(_stack())
        leaf = next((frame for frame in stack if is_application(frame.file)), None)
        if leaf is not None:
            key = leaf.file, leaf.line
            self._stacks.setdefault(key, stack)
            self._blocks[address] = size, key

    def gave(self, address: int) -> None:
        """Drop the record of a block that is freed."""
        self._blocks.pop(address, None)


_open: list[ForeignCalls] = []


def _functions() -> Iterator[Any]:
    kind = ctypes._CFuncPtr  # type: ignore[attr-defined] # noqa: SLF001 - the base of all, which has no public name
    yield from (item for item in gc.get_objects() if issubclass(type(item), kind))


def _address_of(function: Any) -> int:
    return ctypes.c_size_t.from_buffer(function).value


def _point(function: Any, address: int) -> None:
    ctypes.c_size_t.from_buffer(function).value = address


@cache
def _library() -> tuple[dict[str, Any], dict[int, str]]:
    """Return the C library's allocators as callable functions, and by address."""
    library = ctypes.CDLL(None, use_errno=True)
    own = {}
    for name, takes in _TAKES.items():
        with suppress(AttributeError):
            own[name] = function = library[name]
            function.argtypes, function.restype = takes, _GIVES.get(name, _POINTER)
    measure = own["malloc_usable_size"] = library["malloc_usable_size"]
    measure.argtypes, measure.restype = [_POINTER], _SIZE
    return own, {_address_of(function): name for name, function in own.items() if name in _TAKES}


@cache
def _callback(name: str) -> int:
    """Return the address of the callback for an allocator. It is never freed: a call may be under way in it."""
    own, _ = _library()
    function: Callable[..., Any]
    if name in _FREES:
        function = partial(_free, _seen_free() if name == "free" else own[name])
    else:
        function = partial(_allocate, own[name], name, own["malloc_usable_size"])
    made = ctypes.CFUNCTYPE(_GIVES.get(name, _POINTER), *_TAKES[name], use_errno=True)(function)
    _kept.append(made)
    return _address_of(made)


_kept: list[Any] = []


def _seen_free() -> Callable[..., Any]:
    """Return the C library's free, through the interpreter if that adds nothing, because memray sees it there.

    Otherwise blocks that an extension allocates and ctypes frees would seem to leak.
    """
    own, _ = _library()
    if sys.flags.dev_mode or os.environ.get("PYTHONMALLOC") or hasattr(sys, "gettotalrefcount"):
        return cast("Callable[..., Any]", own["free"])  # debug hooks would miss their markers
    function = ctypes.pythonapi["PyMem_RawFree"]
    function.argtypes, function.restype = (_POINTER,), None
    return function


def _allocate(call: Callable[..., Any], name: str, measure: Callable[..., int], *arguments: Any) -> Any:
    address = call(*arguments)
    with suppress(Exception):  # the engine gets its block even if recording fails
        for calls in _open:
            if name == "realloc":
                calls.gave(arguments[0])
            if address not in _FAILED:
                calls.took(address, measure(address) if name.startswith("str") else _asked(name, arguments))
    return address


def _free(call: Callable[..., Any], address: int | None, *rest: Any) -> Any:
    for calls in _open:
        if address is not None:
            calls.gave(address)
    return call(address, *rest)


def _asked(name: str, arguments: tuple[Any, ...]) -> int:
    if name == "calloc":
        return int(arguments[0] * arguments[1])
    return int(arguments[0] if name == "malloc" else arguments[1])


def _stack() -> Iterator[Frame]:
    """Return the frames of the caller, without those of this module."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001
    given = 0
    while frame is not None and given < MOST_FRAMES:
        if frame.f_code.co_filename != __file__:
            given += 1
            yield Frame(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_qualname)
        frame = frame.f_back
