"""Reads TOML tables key by key, so that every error names its place and no key is ignored.

Errors are collected in `Problems`, and reading continues with the default: a file shows all its errors at once.
"""

import difflib
import json
import math
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from soakd.errors import ConfigError
from soakd.wire.given_files import read_given
from soakd.wire.masking import HIDDEN, is_secret_name, masked

LARGEST_FILE_BYTES = 1_000_000
"""The largest configuration or waivers file; a run keeps copies of both."""
MOST_DEPTH = 100
LIKENESS = 0.65
"""The similarity of two names, 0 to 1, from which one may be the other misspelt."""


def read_text(path: Path) -> str:
    """Read a TOML file, with or without a byte order mark.

    Raises:
        ConfigError: it cannot be read, is not a regular file, is too large, or is not UTF-8.
    """
    try:
        return read_given(path, LARGEST_FILE_BYTES, encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error


def parse_toml(text: str, source: str) -> dict[str, Any]:
    """Parse the text of a TOML file, which errors call `source`.

    Raises:
        ConfigError: it is not TOML.
    """
    try:
        parsed = tomllib.loads(text)
    except ValueError as error:  # TOMLDecodeError, or a number with more digits than Python converts
        raise ConfigError(f"{source}: not TOML: {error}") from error
    except RecursionError as error:
        raise ConfigError(f"{source}: not TOML: brackets are nested too deep") from error
    if why := _beyond(parsed):
        raise ConfigError(f"{source}: not TOML: {why}")
    return parsed


def _beyond(parsed: Mapping[str, Any]) -> str:
    """Return what would be parsed but cause errors later; None if there is nothing."""
    todo: list[tuple[Any, int]] = [(parsed, 0)]
    while todo:
        value, depth = todo.pop()
        if depth > MOST_DEPTH:
            return "tables are nested too deep"
        if isinstance(value, dict | list):
            todo += ((inner, depth + 1) for inner in (value.values() if isinstance(value, dict) else value))
        elif isinstance(value, int) and not -(2**63) <= value < 2**63:
            return "a whole number is larger than 64 bits"
    return ""


Step: TypeAlias = str | int
"""A key of a table, or the number of a table in an array, from 0."""


class Problems:
    """The errors in one file, collected while it is read, and reported in the order of the file.

    Args:
        raw: the file as parsed; its keys are in the order of the text.
    """

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self._raw = raw
        self._found: list[tuple[tuple[Step, ...], str]] = []

    def add(self, path: tuple[Step, ...], *texts: str) -> None:
        """Add an error at a key, or at () for something that is not in the file, which comes last."""
        self._found += ((path, text) for text in texts)

    def at(self, *path: Step) -> bool:
        """Return whether there is an error at a key, or below it."""
        return any(found[: len(path)] == path for found, _ in self._found)

    def texts(self) -> tuple[str, ...]:
        """Return the errors in the order of the file, each once."""
        return tuple(dict.fromkeys(text for _, text in sorted(self._found, key=lambda one: self._place(one[0]))))

    def refuse(self) -> None:
        """Raise the errors, if there are any.

        Raises:
            ConfigError: lists every error.
        """
        if self._found:
            raise ConfigError(*self.texts())

    def _place(self, path: tuple[Step, ...]) -> tuple[float, ...]:
        """Return the position of a key among its neighbours, level by level; a missing key comes first in its table."""
        value: Any = self._raw
        place: list[float] = [] if path else [math.inf]
        for step in path:
            keys = list(value) if isinstance(value, dict) else []
            place.append(step if isinstance(step, int) else keys.index(step) if step in keys else -1)
            at_hand = step in keys or (isinstance(step, int) and isinstance(value, list))
            value = value[step] if at_hand else None
        return tuple(place)


class Table:
    """One TOML table, read key by key; remembers which keys were read, so that unknown ones are found.

    Args:
        values: its contents.
        place: its name in errors.
        problems: collects errors.
        path: its keys in the file.
    """

    def __init__(
        self, values: Mapping[str, Any], place: str, problems: Problems | None = None, path: tuple[Step, ...] = ()
    ) -> None:
        self._values = dict(values)
        self.place = place
        self.problems = problems or Problems(values)
        self.path = path
        self.source = place if not path else place.partition(": ")[0]
        """The name of the file."""
        self._known: list[str] = []
        self._missing: dict[str, str] = {}
        self.is_elsewhere = False
        """Whether the table has a misspelt name, or is not a table: then its keys are not reported as missing."""

    def get(self, key: str) -> Any:
        """Read a raw value; None if the key is absent."""
        self._known.append(key)
        return self._values.pop(key, None)

    def peek(self, key: str) -> Any:
        """Return a raw value without marking the key as read."""
        return self._values.get(key)

    def skip(self, *keys: str) -> None:
        """Mark keys as read whose values cannot be checked."""
        for key in keys:
            self.get(key)

    def report(self, key: str, rule: str, given: object = None, *, near: Iterable[str] = ()) -> None:
        """Add an error about one key, suggesting the name in `near` that is most like the given one."""
        told = HIDDEN if is_secret_name(key) else shown(masked(given, numbers=True))
        got = "" if given is None else f", got {told}"
        self.problems.add((*self.path, key), f"{self.place}: {key}: {rule}{got}{did_you_mean(given, near)}")

    def require(self, key: str, rule: str) -> None:
        """Report a missing key, unless an unknown key turns out to be the same one misspelt."""
        self._missing[key] = rule

    def misspelt(self) -> set[str]:
        """Return the known keys that unknown ones are most like; call it after every key was read."""
        return {near for key in self._values if (near := nearest(key, self._known)) is not None}

    def is_sound(self, *keys: str) -> bool:
        """Return whether these keys, or without arguments the whole table, have no errors."""
        paths = [(*self.path, key) for key in keys] or [self.path]
        return not any(self.problems.at(*path) for path in paths)

    def text(self, key: str, default: str | None = None) -> str | None:
        """Read a non-empty string."""
        value = self.get(key)
        if value is None:
            return default
        if not isinstance(value, str) or not value or "\0" in value:
            self.report(key, "must be a text in quotes, without NUL", value)
            return default
        return value

    def choice(self, key: str, choices: Sequence[str], default: str) -> str:
        """Read one of the allowed words."""
        value = self.get(key)
        if value is None:
            return default
        if value not in choices:
            self.report(key, f"must be one of {', '.join(choices)}", value, near=choices)
            return default
        return str(value)

    def words(self, key: str, choices: Sequence[str]) -> tuple[str, ...]:
        """Read a list of allowed words."""
        found = self.texts(key)
        for name in found:
            if name not in choices:
                self.report(key, f"must be a list of these: {', '.join(choices)}", name, near=choices)
        return found

    def truth(self, key: str, default: bool) -> bool:
        """Read true or false."""
        value = self.get(key)
        if value is not None and not isinstance(value, bool):
            self.report(key, "must be true or false", value)
            return default
        return default if value is None else value

    def number(
        self, key: str, default: float | None, *, above: float | None = None, least: float | None = None,
        most: float | None = None,
    ) -> Any:  # fmt: skip
        """Read a number, optionally `above`, at `least` or at `most` a bound."""
        value = self.get(key)
        if value is None:
            return default
        if type(value) not in (int, float) or not math.isfinite(value):
            rule = "must be a number"
        elif above is not None and value <= above:
            rule = f"must be above {above:g}"
        elif least is not None and value < least:
            rule = f"must be at least {least:g}"
        elif most is not None and value > most:
            rule = f"must be at most {most:,.0f}"
        else:
            return value
        self.report(key, rule, value)
        return default

    def whole(self, key: str, default: int | None, *, least: int = 0, most: int = 2**63 - 1) -> Any:
        """Read a whole number within bounds."""
        value = self.get(key)
        if value is None:
            return default
        if type(value) is not int or not least <= value <= most:
            most_text = "" if most == 2**63 - 1 else f" and at most {most}"
            self.report(key, f"must be a whole number of at least {least}{most_text}", value)
            return default
        return value

    def quantity(
        self, key: str, read: Callable[[str], float], default: float | None, *, least: float = 0.0,
        most: float = math.inf,
    ) -> Any:  # fmt: skip
        """Read a text with a unit through `read`; a bare number is refused, as its unit would be unclear."""
        value = self.get(key)
        if value is None:
            return default
        if not isinstance(value, str):
            self.report(key, 'must be a text with a unit, such as "30s" or "1MB/h"', value)
            return default
        try:
            number = read(value)
        except ValueError as error:
            self.report(key, str(error))
            return default
        if number <= 0:
            self.report(key, "must be above 0", value)
        elif not least <= number <= most:
            bound = f"at least {least:g}s" if number < least else f"at most {most / 86400:.0f}d"
            self.report(key, f"must be {bound}", value)
        else:
            return number
        return default

    def quantity_or_off(self, key: str, read: Callable[[str], float], default: float | None) -> Any:
        """Read a quantity, or "off" as None."""
        if self._values.get(key) == "off":
            self.get(key)
            return None
        return self.quantity(key, read, default)

    def texts(self, key: str) -> tuple[str, ...]:
        """Read a list of strings; a single string counts as one."""
        value = self.get(key)
        if value is None:
            return ()
        items = [value] if isinstance(value, str) else value
        if not isinstance(items, list) or not all(
            isinstance(item, str) and item and "\0" not in item for item in items
        ):
            self.report(key, "must be a list of texts", value)
            return ()
        return tuple(items)

    def table(self, key: str) -> "Table":
        """Read a sub-table; absent is empty."""
        value = self.get(key)
        if value is not None and not isinstance(value, dict):
            self.report(key, f"must be a table: [{key}]", value)
        found = self.inner(value if isinstance(value, dict) else {}, f"{self.place}: {key}", key)
        # If the table has another name, or is not a table, its keys are not reported as missing.
        found.is_elsewhere = not self.is_sound(key) or (value is None and any(nearest(k, [key]) for k in self._values))
        return found

    def tables(self, key: str) -> "list[Table]":
        """Read an array of tables, each placed by its name."""
        value = self.get(key)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            self.report(key, f"must be an array of tables: [[{key}]]", value)
            return []
        names = [quoted(str(item["name"])) if "name" in item else str(i) for i, item in enumerate(value, 1)]
        return [
            self.inner(item, f"{self.place}: {key} {name}", key, i)
            for i, (item, name) in enumerate(zip(value, names, strict=True))
        ]

    def inner(self, values: Mapping[str, Any], place: str, *steps: Step) -> "Table":
        """Return a table inside this one that reports its errors in the same place."""
        return Table(values, place, self.problems, (*self.path, *steps))

    def finish(self) -> None:
        """Report unknown keys, each with the nearest known key and a list of all, and missing keys."""
        known, misspelt = ", ".join(sorted(set(self._known))), self.misspelt()
        for key in self._values:
            text = f"{self.place}: unknown key {quoted(key)}{did_you_mean(key, self._known)}; known keys: {known}"
            self.problems.add((*self.path, key), text)
        for key, rule in self._missing.items():
            if key not in misspelt and self.is_sound(key) and not self.is_elsewhere:
                self.report(key, rule)


def did_you_mean(given: object, known: Iterable[str]) -> str:
    """Return ' (did you mean "..."?)' with the known name most like the given one; "" if none is."""
    near = nearest(given, known) if isinstance(given, str) else None
    return "" if near is None else f' (did you mean "{near}"?)'


def nearest(given: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most like the given one: in its letters, or in a part between dots."""
    names = {name.lower(): name for name in known}
    if close := difflib.get_close_matches(given.lower(), names, n=1, cutoff=LIKENESS):
        return names[close[0]]
    parts = [name for name in names if given.lower() in name.split(".")]
    return names[parts[0]] if len(parts) == 1 else None


def shown(value: object) -> str:
    """Format a given value as the user wrote it."""
    return quoted(value) if isinstance(value, str) else str(value)


def quoted(text: str) -> str:
    """Format any text in quotes on one line."""
    return f'"{text}"' if text.isprintable() else json.dumps(text)
