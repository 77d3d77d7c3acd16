"""What a case is, and where its true line stands."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PLACES = ("tests/leaks", "soakd/worker/engines/planted")
_OWN = re.compile(r"leaks/|engines/planted/|leaks\.(c|rs):|creference\.c:")
_MARK = re.compile(r"leak: ([\w, -]+)")
_KEEPS = re.compile(r"^\s*(?:self\.)?(\w+)\b.*# keeps: (\w+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One leak: `factory` ("module:function") makes its operation."""

    name: str
    factory: str
    options: Mapping[str, Any] = field(default_factory=dict)
    route: str | None = None
    """Where it is not chosen by what grows."""
    named: str | None = None
    """What names it as well as a marked line, or where none can: a kind of descriptor, a function of what was compiled
    before, a container that the interpreter makes."""
    operations: int = 500
    """In the first window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of a source file."""

    file: str
    number: int


@cache
def true_lines() -> Mapping[str, list[Line]]:
    """Return the marked lines of every case."""
    found: dict[str, list[Line]] = {}
    for line, names in _marks():
        for name in names:
            found.setdefault(name, []).append(line)
    return found


def _marks() -> Iterator[tuple[Line, list[str]]]:
    for place in PLACES:
        for path in sorted((ROOT / place).rglob("*")):
            if path.suffix in (".py", ".c", ".rs"):
                for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                    if (mark := _MARK.search(text)) is not None:
                        names = [name.strip() for name in mark[1].split(",")]
                        yield Line(file=path.name, number=number), names


@cache
def true_holders() -> Mapping[str, str]:
    """Return the marked container of every case that has one: the name of the variable that keeps what leaks."""
    found = {}
    for place in PLACES:
        for path in sorted((ROOT / place).rglob("*.py")):
            for line in path.read_text(encoding="utf-8").splitlines():
                if (mark := _KEEPS.match(line)) is not None:
                    found[mark[2]] = mark[1]
    return found


def rank(case: Case, sites: list[Mapping[str, Any]], *, containers: bool = True) -> int | None:
    """Return where the true site stands among those named, 1 for the first; None where it is not there.

    It is true where the allocation itself, or the call that led to it directly, is at a marked line; with `containers`
    also where it is the marked container, by its variable.
    """
    holder = re.escape(true_holders().get(case.name, "")) if containers else ""
    for number, site in enumerate(sites, 1):
        if case.named is not None and case.named in site["site"]:
            return number
        if holder and site["tool"] == "holders" and re.search(rf"[`.]{holder}`", site["site"]):
            return number
        if any(_is_at(line, text) for text in _places(site) for line in true_lines().get(case.name, [])):
            return number
    return None


def _places(site: Mapping[str, Any]) -> list[str]:
    """Give the leaf of the application's frames, and the one that called it."""
    own = [frame for frame in site.get("frames") or [] if _OWN.search(frame)]
    return [site["site"], *own[:2]]


def _is_at(line: Line, text: str) -> bool:
    return re.search(rf"(^|[/ ]){re.escape(line.file)}:{line.number}\b", text) is not None
