"""Stack frames as a finding shows them, and the fingerprint that recognizes a leak after lines have moved."""

import functools
import hashlib
import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

MOST_FRAMES = 12
FINGERPRINT_FRAMES = 6
_LIBRARY = f"{Path(os.__file__).parent}/"
_SOAKD = f"{Path(__file__).absolute().parents[2]}/"
_PACKAGE = "soakd"
_REAL_SOAKD = f"{Path(__file__).resolve().parents[2]}/"
"""A worker may see soakd through a link in its run's folder, and the reader of its captures through another link."""
_ENGINES = ("worker/engines/", "engines/")
"""Folders of engines below soakd's; the second appears in runs recorded by version 0.1."""
_PLUMBING = tuple(
    f"{folder}{name}" for folder in _ENGINES for name in ("python_factory.py", "registry.py", "__init__.py")
)
_PACKAGES = re.compile(r"^.*/(?:site|dist)-packages/")
_NATIVE_PARTS = 3
_VERSION = re.compile(r"-\d[\w.+-]{0,80}+(?=/)")
_ADDRESS = re.compile(r"0x[0-9a-f]+|\b[0-9a-f]{16,}\b")


class Frame(NamedTuple):
    """One frame; if unknown, `function` is "" and `line` is 0."""

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        place = f"{module_of(self.file)}:{self.line}" if self.line else module_of(self.file)
        return f"{place} in {self.function}" if self.function else place


def is_application(file: str) -> bool:
    """Return whether Python code belongs to the engine or a package, not to the standard library or soakd's harness."""
    if not file or file.startswith("<"):
        return False
    if (part := _part_of_soakd(file)) is not None:
        return part.startswith(_ENGINES) and not part.startswith(_PLUMBING)
    return not file.startswith(_LIBRARY) or "-packages" in file


def is_harness(file: str) -> bool:
    """Return whether Python code is soakd's own, and not an engine's."""
    return _part_of_soakd(file) is not None and not is_application(file)


def real_place(file: str) -> str:
    """Resolve the link through which a worker of another folder saw soakd, if there is one."""
    return _followed(file) if f"/{_PACKAGE}/" in file else file


@functools.lru_cache(maxsize=512)
def _followed(file: str) -> str:
    real = os.path.realpath(file)
    return real if real.startswith(_REAL_SOAKD) else file


def _part_of_soakd(file: str) -> str | None:
    """Return the path relative to soakd's folder; None if it is not below it."""
    return next((file[len(place) :] for place in (_SOAKD, _REAL_SOAKD) if file.startswith(place)), None)


@functools.lru_cache(maxsize=512)
def module_of(file: str) -> str:
    """Return a file's path from its outermost package on, the same wherever the package is installed."""
    short = _PACKAGES.sub("", file)
    if short != file or file.startswith("<"):
        return short
    if (name := _module_names().get(file)) is not None:  # a forked child cannot look at the file system
        return name.replace(".", "/") + ("/__init__.py" if file.endswith("/__init__.py") else ".py")
    parts = file.split("/")
    if not file.endswith(".py"):
        return "/".join(parts[-_NATIVE_PARTS:])  # crate/src/file.rs
    first = len(parts) - 1
    with suppress(OSError):  # a forked child may not open files
        while first > 1 and Path("/".join([*parts[:first], "__init__.py"])).is_file():
            first -= 1
    return "/".join(parts[first:])


@functools.lru_cache(maxsize=1)
def _module_names() -> dict[str, str]:
    found = ((getattr(module, "__file__", None), name) for name, module in list(sys.modules.items()))
    return {file: name for file, name in found if isinstance(file, str) and name != "__main__"}


def fingerprint(kind: str, frames: Sequence[Frame]) -> str:
    """Identify a leak by the modules and functions of its stack, leaf first, without lines, addresses or folders.

    Leaks with equal frames are the same leak, whatever their size.
    """
    steps: list[str] = []
    for frame in frames:
        function = frame.function if frame.file.endswith(".py") else _without_generics(frame.function)
        step = f"{_VERSION.sub('', module_of(frame.file))}:{_ADDRESS.sub('', function)}"
        if not steps or steps[-1] != step:  # recursion of any depth is one leak
            steps.append(step)
    text = "\n".join([kind, *steps[:FINGERPRINT_FRAMES]])
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:16]


def _without_generics(function: str) -> str:
    """Remove what is between the first < and the last > of a native function's name."""
    before, opens, rest = function.partition("<")
    _, closes, after = rest.rpartition(">")
    return f"{before}{after}" if opens and closes else function
