"""Growth in things that are counted: file descriptors by kind and place; tasks and threads by what they run."""

import gc
import os
import re
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from soakd.wire.sites import Site
from soakd.worker.attribution import allocations
from soakd.worker.attribution.frames import fingerprint
from soakd.worker.attribution.gains import between

MOST_KINDS = 1000
MOST_SITES = 5
FILES_IN, SOCKETS = "files in ", "sockets "
MOST_THREADS = 500
_NUMBER = re.compile(r"\d+")
_STATES = {"01": "connected to", "0A": "listening at", "06": "closing", "08": "to be closed, to"}


def descriptors() -> Counter[str]:
    """Count this process's open descriptors by kind: path, socket and its peer, pipe ..."""
    counts: Counter[str] = Counter()
    sockets: dict[str, str] | None = None
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - no Path object per descriptor
        with suppress(OSError):
            target = os.readlink(f"/proc/self/fd/{name}")  # noqa: PTH115
            if target.startswith("socket:["):
                sockets = _sockets() if sockets is None else sockets
                target = sockets.get(target[8:-1], "socket")
            kinds = [_kind(target), *_group(target)]
            counts.update(kind for kind in kinds if kind in counts or len(counts) < MOST_KINDS)
    return counts


def growing(readings: list[Counter[str]], operations: tuple[int, int]) -> list[Site]:
    """Return the kinds of descriptors that grew in both windows, at a rate that lasts."""
    rates = {}
    for kind, gain in between(readings, operations):
        if gain.lasts_in_number:
            rates[kind] = gain.per_operation
    for kind in list(rates):
        for group in _group(kind):  # one file that is opened repeatedly is more informative
            rates.pop(group, None)
    return [
        Site(
            fingerprint=fingerprint(f"descriptors {_NUMBER.sub('#', kind)}", []), place=f"descriptors: {kind}",
            things_per_operation=round(rates[kind], 5), tool="descriptors", confidence="high",
        )
        for kind in sorted(rates, key=lambda kind: -rates[kind])[:MOST_SITES]
    ]  # fmt: skip


def tasks_made_at(*, asks: bool = True) -> dict[allocations.Key, Counter[str]]:
    """Return where the live tasks were created and what they run; for a child that has traces to read.

    If not `asks`, it names their type instead: asking a task that was never initialised what it runs may crash.
    """
    kind = getattr(sys.modules.get("asyncio"), "Task", None)
    tasks = [o for o in gc.get_objects() if issubclass(type(o), kind)] if isinstance(kind, type) else []
    return _made_at(tasks, _runs if asks else lambda task: type(task).__name__)


def threads_made_at() -> dict[allocations.Key, Counter[str]]:
    """Return where the youngest live threads were created; in the process itself, as a forked child has one thread."""
    module = sys.modules.get("threading")
    return _made_at(module.enumerate()[-MOST_THREADS:], _runs) if module is not None else {}


def with_things(site: Site, made: Counter[str], rate: float) -> Site:
    """Return a site with what it makes, and how many of it an operation."""
    runs = tuple(name for name, _ in made.most_common(3))
    return replace(site, things_per_operation=round(rate, 5), runs=runs, confidence="high")


def _made_at(items: list[Any], name: Callable[[Any], str]) -> dict[allocations.Key, Counter[str]]:
    found: dict[allocations.Key, Counter[str]] = {}
    for item in items:
        # CPython 3.11's tracemalloc misses objects with inline attributes; a thread's name is created along with it
        trace = allocations.trace_of(item) or allocations.trace_of(getattr(item, "_name", None))
        key = allocations.site_of(trace)
        if key is not None:
            found.setdefault(key, Counter())[name(item)] += 1
    return found


def _runs(item: Any) -> str:
    """Name what a task or thread runs: "task Event.wait", "thread Thread-# (handle)"."""
    with suppress(Exception):  # a subclass in the engine may return anything
        if hasattr(item, "get_coro"):
            return f"task {item.get_coro().__qualname__}"
        return f"thread {_NUMBER.sub('#', item.name)}"
    return type(item).__name__


def _group(target: str) -> list[str]:
    """Return a coarser kind: files by their folder, peers by their host."""
    if target.startswith("/"):
        folder, slash, _ = target.rpartition("/")
        return [f"{FILES_IN}{folder or slash}"]
    if target.startswith("socket "):
        return [f"{SOCKETS}{target.removeprefix('socket ').rpartition(':')[0]}"]
    return []


def _kind(target: str) -> str:
    """Remove the number from "pipe:[123]" and "anon_inode:[eventpoll]"."""
    kind, bracket, rest = target.partition(":[")
    return f"{kind} {rest.rstrip(']')}" if bracket and not rest[:1].isdigit() else kind


def _sockets() -> dict[str, str]:
    """Return the kernel's description of this network namespace's sockets, by inode."""
    found: dict[str, str] = {}
    for name in ("tcp", "tcp6"):
        with suppress(OSError), open(f"/proc/self/net/{name}", encoding="ascii") as file:
            for line in file.readlines()[1:]:
                fields = line.split()
                peer = fields[1] if fields[3] == "0A" else fields[2]
                found[fields[9]] = f"socket {_STATES.get(fields[3], 'with')} {_address(peer)}"
    with suppress(OSError, ValueError, IndexError), open("/proc/self/net/unix", encoding="utf-8") as file:
        for line in file.readlines()[1:]:
            fields = line.split()
            found[fields[6]] = f"unix socket {fields[7] if len(fields) > 7 else ''}".rstrip()
    return found


def _address(text: str) -> str:
    """Format "0100007F:1F90" as 127.0.0.1:8080; for IPv6 only the port."""
    host, _, port = text.partition(":")
    if len(host) != 8:
        return f"port {int(port, 16)}"
    return ".".join(str(int(host[i : i + 2], 16)) for i in (6, 4, 2, 0)) + f":{int(port, 16)}"
