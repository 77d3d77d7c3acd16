"""A forked child that crashes dies at once, whatever the process does about crashes; what is half built kills none."""

import asyncio
import ctypes
import faulthandler
import json
import os
import select
import subprocess
import sys
import tracemalloc
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from soakd.worker.attribution import child, holders, naming, objects
from soakd.worker.attribution.hooks import Hooks
from soakd.worker.probes import reachable, snapshot
from soakd.worker.probes.fork import ForkedChild, Result

pytestmark = pytest.mark.usefixtures("every_object_is_seen")

Make = Callable[[], Any]


@pytest.fixture(autouse=True)
def with_faulthandler() -> Iterator[None]:
    """Have the handlers that a worker has, and of pytest's own what was there."""
    was_enabled = faulthandler.is_enabled()
    faulthandler.enable()
    yield
    if not was_enabled:
        faulthandler.disable()


def forked(job: Callable[[], Mapping[str, Any]]) -> Result:
    """Run a job in a forked child, and wait for its end."""
    running = ForkedChild.start(job, timeout_s=600.0, niceness=0)
    while (result := running.poll()) is None:
        select.select([running._pipe], [], [], 1.0)
    return result


def from_c(function: str, *arguments: Any) -> Any:
    """Return a new object of the C API's."""
    made = ctypes.pythonapi[function]
    made.restype = ctypes.py_object
    return made(*arguments)


def overrun() -> Mapping[str, Any]:
    free = ctypes.CDLL(None).free
    free.argtypes = (ctypes.c_void_p,)
    free(ctypes.addressof(ctypes.create_string_buffer(100)) + 16)
    return {}


def crash(_: object = None) -> Any:
    return ctypes.string_at(0)


@pytest.mark.parametrize(
    ("job", "failure"),
    [
        (crash, "died of SIGSEGV"),
        (os.abort, "died of SIGABRT"),
        (overrun, "died of SIGABRT"),
        (lambda: ctypes.pythonapi.Py_FatalError(b"no more"), "died of SIGABRT"),
        (lambda: os._exit(3), "ended with status 3 without a result"),
    ],
    ids=["null pointer", "abort", "glibc's own check", "fatal error of the interpreter", "exit"],
)
def test_a_child_that_crashes_dies_of_it_and_not_of_its_timeout(job: Any, failure: str) -> None:
    result = forked(job)
    assert (result.values, result.failure, result.died) == (None, failure, True)


C_HANDLER = """
import ctypes, select, sys
from soakd.worker.probes.fork import ForkedChild
signal = ctypes.CDLL(None).signal
signal.argtypes = (ctypes.c_int, ctypes.c_void_p)
returns = ctypes.CFUNCTYPE(None, ctypes.c_int)(lambda _: None)
signal(11, ctypes.cast(returns, ctypes.c_void_p))
child = ForkedChild.start(lambda: ctypes.string_at(0), timeout_s=60.0)
while (result := child.poll()) is None:
    select.select([child._pipe], [], [], 1.0)
print(result.failure)
"""


def test_a_handler_that_c_code_has_installed_is_gone_in_the_child() -> None:
    """As Go, a JVM or a crash reporter has one: `signal.getsignal` sees nothing of it."""
    told = subprocess.run([sys.executable, "-c", C_HANDLER], capture_output=True, text=True, check=True, timeout=120)
    assert told.stdout == "died of SIGSEGV\n"


class Named(list[Any]):
    """A list of an engine's own, with attributes."""


def empty_slots_in_a_subclass() -> Any:
    named = Named(range(8))
    named.name = "a"  # type: ignore[attr-defined]
    slots = ctypes.c_void_p.from_address(id(named) + objects._SLOTS_AT).value or 0
    ctypes.memset(slots + 8 * 4, 0, 8 * 4)
    return named


HALF_BUILT: Mapping[str, Make] = {
    "list": lambda: from_c("PyList_New", 20),
    "long list": lambda: from_c("PyList_New", 5000),
    "list of a subclass": empty_slots_in_a_subclass,
    "tuple": lambda: from_c("PyTuple_New", 20),
    "struct_time": lambda: from_c("PyStructSequence_New", ctypes.py_object(type(os.times()))),
    "frozenset": lambda: from_c("PyFrozenSet_New", None),
    "dictionary": lambda: from_c("_PyDict_NewPresized", 20),
    "cell": lambda: from_c("PyCell_New", None),
    "bytes": lambda: from_c("PyBytes_FromStringAndSize", None, 20),
    "generator": lambda: (number for number in range(1)),
    "task": lambda: asyncio.Task.__new__(asyncio.Task),
    "property": lambda: property.__new__(property),
    "ordered dictionary": lambda: OrderedDict.__new__(OrderedDict),
    "deque": lambda: deque.__new__(deque),
}
"""What C code may leave: made, and never filled."""


def test_what_is_half_built_kills_no_child() -> None:
    def job() -> Mapping[str, Any]:
        broken = {name: make() for name, make in HALF_BUILT.items()}
        holder = [*broken.values()]
        first = json.dumps(child.read(None))
        second = json.dumps(child.read(None, [first], 100))
        holder.extend(broken.values())
        sites = child.conclude([first, second], (100, 300), 100, None, things=True)
        newest = [holders._newest(each) for each in (*holder, holder, broken) if type(each) in (list, dict, deque)]
        named = [naming.name_of(each, [])[0] for each in broken.values()]
        return {
            "found": [*sites, len(newest) > 5, len(named)],
            "snapshot": [*snapshot.take_snapshot()], "reachable": [*reachable.read_reachable()],
        }  # fmt: skip

    result = forked(job)
    assert result.failure is None
    assert result.values is not None
    assert result.values["found"] == ["sites", "types", True, len(HALF_BUILT)]
    assert "containers" in result.values["snapshot"]
    assert "reachable_native_bytes" in result.values["reachable"]


def test_without_the_search_a_task_that_was_never_initialised_is_not_asked_what_it_runs() -> None:
    """CPython 3.11 crashes of its `get_coro`."""

    def job() -> Mapping[str, Any]:
        hooks = Hooks()
        tracemalloc.start(10)
        tasks = [asyncio.Task.__new__(asyncio.Task) for _ in range(20)]
        return {"tasks": len(tasks), **child.read(hooks, searches=False)}

    result = forked(job)
    assert result.failure is None
    assert result.values is not None
    assert result.values["census"] == ""
    assert any("test_crashing_children.py" in place and count == 20 for place, count in result.values["made"].items())


@pytest.mark.parametrize("length", [1, 2, 20, 1024, 1025, 5000])
def test_a_list_of_empty_slots_is_counted(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holders, "MOST_COUNTED", 10_000_000)  # the process of many tests has longer ones

    def job() -> Mapping[str, Any]:
        broken = from_c("PyList_New", length)
        counted = holders.unpacked(holders.census())[id(broken)]
        return {"length": counted.length, "last": counted.last, "entries": len(objects.last_entries(broken, 16))}

    assert forked(job).values == {"length": length, "last": 0, "entries": 0}


@pytest.mark.parametrize("length", [0, 1, 2, 1023, 1024, 1025, 3000])
def test_the_slots_of_a_list_are_the_addresses_of_its_entries(length: int) -> None:
    entries = [object() for _ in range(length)]
    assert list(objects.newest_first(entries)) == [id(entry) for entry in reversed(entries)]
    assert objects.last_entries(entries, 16) == entries[-16:]


def test_what_was_appended_behind_empty_slots_is_seen() -> None:
    def job() -> Mapping[str, Any]:
        broken = from_c("PyList_New", 20)
        broken.extend(["a", "b"])
        return {"last": objects.last_entries(broken, 16), "behind": holders._behind(broken, id("a"))}

    assert forked(job).values == {"last": ["a", "b"], "behind": 1}
