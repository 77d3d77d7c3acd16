"""Describes who holds an object, from what refers to it. Runs in forked children only."""

import gc
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
from types import (
    AsyncGeneratorType,
    CellType,
    CodeType,
    CoroutineType,
    FrameType,
    FunctionType,
    GeneratorType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
)  # fmt: skip
from typing import Any

from soakd.worker.attribution.objects import is_a

MOST_DEPTH = 5
_SHARED = (type, ModuleType, FunctionType, CodeType, FrameType)


def name_of(container: Any, ignore: list[Any]) -> tuple[str, str, str]:
    """Describe who holds a container.

    Args:
        container: the object that is held.
        ignore: objects of the search itself, which also hold it.

    Returns:
        The holder ("list `kept` of python_list.<locals>.operation"), and its file and function, "" if not known.
    """
    kind, path, item = type(container).__name__, "", container
    hidden = {id(thing) for thing in ignore}
    for _ in range(MOST_DEPTH):
        hidden.add(id(item))
        referrers = [r for r in gc.get_referrers(item) if id(r) not in hidden and not is_a(r, FrameType)]
        hidden.add(id(referrers))
        for describe in (_of_module, _of_cell, _of_class, _of_instance, _of_function, _of_generator):
            for referrer in referrers:
                if (found := describe(item, referrer)) is not None:
                    words, file, function = found
                    return f"{kind}{path} {words}", file, function
        items = [r for r in referrers if is_a(r, dict, list, tuple, set, deque)]
        others = (r for r in referrers if not is_a(r, *_SHARED))
        if (item := next((r for r in chain(items, others)), None)) is None:
            break
        path += f" in a {type(item).__name__}"
    return f"{kind}{path} (holder not found)", "", ""


def _of_module(item: Any, referrer: Any) -> tuple[str, str, str] | None:
    if not is_a(referrer, dict) or not all(dict.__contains__(referrer, key) for key in ("__name__", "__spec__")):
        return None
    name = next((str(key) for key, value in list(referrer.items()) if value is item), "?")
    return f"`{referrer['__name__']}.{name}`", str(referrer.get("__file__") or ""), f"{name}"


def _of_cell(_: Any, referrer: Any) -> tuple[str, str, str] | None:
    if not is_a(referrer, CellType):
        return None
    for holder in gc.get_referrers(referrer):
        if not is_a(holder, tuple):
            continue
        for function in gc.get_referrers(holder):
            if is_a(function, FunctionType) and function.__closure__ is holder:
                name = function.__code__.co_freevars[holder.index(referrer)]
                return f"`{name}` of {function.__qualname__}", function.__code__.co_filename, function.__qualname__
    return None


def _of_class(item: Any, referrer: Any) -> tuple[str, str, str] | None:
    if not is_a(referrer, type):
        is_namespace = is_a(referrer, dict) and dict.__contains__(referrer, "__module__")
        for kind in gc.get_referrers(referrer) if is_namespace else ():
            if is_a(kind, type):
                return _of_class(item, kind)
        return None
    name = next((str(key) for key, value in list(vars(referrer).items()) if value is item), "?")
    return f"`{referrer.__module__}.{referrer.__qualname__}.{name}`", _file_of(referrer), referrer.__qualname__


def _of_instance(item: Any, referrer: Any) -> tuple[str, str, str] | None:
    """Find the attribute of an instance that holds it: in its dictionary, inline values or slots."""
    owner = referrer
    if is_a(referrer, dict):
        owner = next((o for o in gc.get_referrers(referrer) if _attributes(o) is referrer), None)
    if owner is None or is_a(owner, dict, list, tuple, set, deque, type, CellType, MethodType):
        return None
    attributes = _attributes(owner) or {}
    if type(wrapped := attributes.get("__wrapped__")) is FunctionType:
        return f"cache of {wrapped.__qualname__}", wrapped.__code__.co_filename, wrapped.__qualname__
    kind = type(owner)
    name = next((str(k) for k, v in list(attributes.items()) if v is item), None)
    name = name or next((slot for slot, value in _slots(owner) if value is item), None)
    if name is None:
        return None
    return f"`{name}` of a {kind.__module__}.{kind.__qualname__}", _file_of(kind), kind.__qualname__


def _attributes(owner: Any) -> dict[str, Any] | None:
    """Return the dictionary of an instance without calling its `__getattr__`."""
    with suppress(Exception):
        found = object.__getattribute__(owner, "__dict__")
        return found if type(found) is dict else None
    return None


def _slots(owner: Any) -> Iterator[tuple[str, Any]]:
    for base in type(owner).__mro__:
        for name, descriptor in list(vars(base).items()):
            if type(descriptor) is MemberDescriptorType:
                with suppress(AttributeError):  # empty
                    yield name, descriptor.__get__(owner)


def _of_function(_: Any, referrer: Any) -> tuple[str, str, str] | None:
    """Describe a function that holds it as a default value."""
    if is_a(referrer, tuple):
        holder = next((f for f in gc.get_referrers(referrer) if is_a(f, FunctionType)), None)
        if holder is not None and holder.__defaults__ is referrer:
            return f"default of {holder.__qualname__}", holder.__code__.co_filename, holder.__qualname__
    return None


def _of_generator(item: Any, referrer: Any) -> tuple[str, str, str] | None:
    """Describe a suspended coroutine or generator that holds it in a variable."""
    for kind, prefix in ((CoroutineType, "cr"), (GeneratorType, "gi"), (AsyncGeneratorType, "ag")):
        frame = getattr(referrer, f"{prefix}_frame") if is_a(referrer, kind) else None
        if frame is not None:
            name = next((name for name, value in frame.f_locals.items() if value is item), None)
            code = frame.f_code
            return (f"`{name}` of {code.co_qualname}", code.co_filename, code.co_qualname) if name else None
    return None


def _file_of(kind: type) -> str:
    return str(getattr(sys.modules.get(kind.__module__), "__file__", None) or "")
