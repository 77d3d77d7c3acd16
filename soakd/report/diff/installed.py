"""Differences between the interpreters and packages of engines in two runs."""

from collections.abc import Iterable
from typing import Any

from soakd.wire.records import Hello, Packages, Record

INTERPRETER, PACKAGES = "interpreter", "packages"


def changed_packages(before: Iterable[Record], after: Iterable[Record]) -> list[dict[str, Any]]:
    """Compare the recorded environments of the engines that both runs have.

    Args:
        before: `hello` and `phase` records of the one run, in order; where something was read twice, the last holds.
        after: of the other.

    Returns:
        {"key", "from", "to", "engines"} per package, or interpreter, that differs: None where it is not there, and with
        the key "packages" where only one run recorded any.
    """
    one, other = _installed(before), _installed(after)
    found: dict[tuple[str, str | None, str | None], list[str]] = {}
    for engine in sorted(one.keys() & other.keys()):
        for key, versions in _unlike(one[engine], other[engine]).items():
            found.setdefault((key, *versions), []).append(engine)
    first = (INTERPRETER, PACKAGES)
    ranked = sorted(found.items(), key=lambda item: (item[1], item[0][0] not in first, item[0][0].lower()))
    return [{"key": key, "from": was, "to": now, "engines": engines} for (key, was, now), engines in ranked]


def _installed(records: Iterable[Record]) -> dict[str, dict[str, str]]:
    interpreters: dict[str, dict[str, str]] = {}
    packages: dict[str, dict[str, str]] = {}
    for record in records:
        if isinstance(record, Hello) and record.python is not None:
            interpreters[record.engine] = {INTERPRETER: record.python}
        elif isinstance(record, Packages):
            for environment in record.environments:
                packages.update({engine: dict(environment.packages) for engine in environment.engines})
    return {name: interpreters.get(name, {}) | packages.get(name, {}) for name in interpreters.keys() | packages.keys()}


def _unlike(one: dict[str, str], other: dict[str, str]) -> dict[str, tuple[str | None, str | None]]:
    counts = [len(side.keys() - {INTERPRETER}) for side in (one, other)]
    if not all(counts):  # packages that were not recorded are one difference, not one each
        recorded = {} if not any(counts) else {PACKAGES: (_recorded(counts[0]), _recorded(counts[1]))}
        return recorded | {key: (one[key], other[key]) for key in one.keys() & other.keys() if one[key] != other[key]}
    names = sorted(one.keys() | other.keys())
    return {name: (one.get(name), other.get(name)) for name in names if one.get(name) != other.get(name)}


def _recorded(count: int) -> str | None:
    return f"{count} recorded" if count else None
