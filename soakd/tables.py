"""Reading a TOML table key by key, so that every error names its place and no key goes unread."""

import difflib
import json
import math
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from soakd.errors import ConfigError

MOST_DEPTH = 100


def read_text(path: Path) -> str:
    """Read a file of TOML, with or without a byte order mark.

    Raises:
        ConfigError: it cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error


def parse_toml(text: str, source: str) -> dict[str, Any]:
    """Parse the text of a file of TOML that is called `source` in errors.

    Raises:
        ConfigError: it is not TOML.
    """
    try:
        parsed = tomllib.loads(text)
    except ValueError as error:  # TOMLDecodeError, or a number of more digits than Python converts
        raise ConfigError(f"{source}: not TOML: {error}") from error
    except RecursionError as error:
        raise ConfigError(f"{source}: not TOML: brackets within brackets, too deep to read") from error
    if why := _beyond(parsed):
        raise ConfigError(f"{source}: not TOML: {why}")
    return parsed


def _beyond(parsed: Mapping[str, Any]) -> str:
    """Say what Python reads and stumbles over later; nothing where there is no such thing."""
    todo: list[tuple[Any, int]] = [(parsed, 0)]
    while todo:
        value, depth = todo.pop()
        if depth > MOST_DEPTH:
            return "tables within tables, too deep to read"
        if isinstance(value, dict | list):
            todo += ((inner, depth + 1) for inner in (value.values() if isinstance(value, dict) else value))
        elif isinstance(value, int) and not -(2**63) <= value < 2**63:
            return "a whole number has 64 bits at most"
    return ""


class Table:
    """One TOML table, read key by key; remembers what was asked for, so that unknown keys are found."""

    def __init__(self, values: Mapping[str, Any], place: str) -> None:
        self._values = dict(values)
        self.place = place
        self._known: list[str] = []

    def get(self, key: str) -> Any:
        """Take a raw value, or None where the key is absent."""
        self._known.append(key)
        return self._values.pop(key, None)

    def peek(self, key: str) -> Any:
        """Look at a raw value without taking it."""
        return self._values.get(key)

    def fail(self, key: str, rule: str, given: object = None) -> ConfigError:
        """Build the error for one key."""
        got = "" if given is None else f", got {shown(given)}"
        return ConfigError(f"{self.place}: {key}: {rule}{got}")

    def text(self, key: str, default: str | None = None) -> str | None:
        """Read a string that is not empty."""
        value = self.get(key)
        if value is None:
            return default
        if not isinstance(value, str) or not value or "\0" in value:
            raise self.fail(key, "must be a text in quotes, without NUL", value)
        return value

    def choice(self, key: str, choices: Sequence[str], default: str) -> str:
        """Read one of several words."""
        value = self.get(key)
        if value is None:
            return default
        if value not in choices:
            raise self.fail(key, f"must be one of {', '.join(choices)}", value)
        return str(value)

    def truth(self, key: str, default: bool) -> bool:
        """Read true or false."""
        value = self.get(key)
        if value is not None and not isinstance(value, bool):
            raise self.fail(key, "must be true or false", value)
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
            raise self.fail(key, "must be a number", value)
        if above is not None and value <= above:
            raise self.fail(key, f"must be above {above:g}", value)
        if least is not None and value < least:
            raise self.fail(key, f"must be at least {least:g}", value)
        if most is not None and value > most:
            raise self.fail(key, f"must be at most {most:,.0f}", value)
        return value

    def whole(self, key: str, default: int | None, *, least: int = 0, most: int = 2**63 - 1) -> Any:
        """Read a whole number within bounds."""
        value = self.get(key)
        if value is None:
            return default
        if type(value) is not int or not least <= value <= most:
            most_text = "" if most == 2**63 - 1 else f" and at most {most}"
            raise self.fail(key, f"must be a whole number of at least {least}{most_text}", value)
        return value

    def quantity(
        self, key: str, read: Callable[[str], float], default: float | None, *, least: float = 0.0,
        most: float = math.inf,
    ) -> Any:  # fmt: skip
        """Read a text with a unit through `read`; a bare number is refused, for it would hide its unit."""
        value = self.get(key)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self.fail(key, 'must be a text with a unit, such as "30s" or "1MB/h"', value)
        try:
            number = read(value)
        except ValueError as error:
            raise self.fail(key, str(error)) from error
        if number <= 0:
            raise self.fail(key, "must be above 0", value)
        if not least <= number <= most:
            bound = f"at least {least:g}s" if number < least else f"at most {most / 86400:.0f}d"
            raise self.fail(key, f"must be {bound}", value)
        return number

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
            raise self.fail(key, "must be a list of texts", value)
        return tuple(items)

    def table(self, key: str) -> "Table":
        """Read a sub-table; absent is empty."""
        value = self.get(key)
        if value is not None and not isinstance(value, dict):
            raise self.fail(key, f"must be a table: [{key}]", value)
        return Table(value or {}, f"{self.place}: {key}")

    def tables(self, key: str) -> "list[Table]":
        """Read an array of tables, each placed by its name."""
        value = self.get(key)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self.fail(key, f"must be an array of tables: [[{key}]]", value)
        names = [quoted(str(item["name"])) if "name" in item else str(i) for i, item in enumerate(value, 1)]
        return [Table(item, f"{self.place}: {key} {name}") for item, name in zip(value, names, strict=True)]

    def finish(self) -> None:
        """Refuse what nobody asked for.

        Raises:
            ConfigError: an unknown key, with the nearest known one and all of them.
        """
        for key in self._values:
            near = difflib.get_close_matches(key, self._known, n=1)
            hint = f' (did you mean "{near[0]}"?)' if near else ""
            raise ConfigError(
                f"{self.place}: unknown key {quoted(key)}{hint}; known keys: {', '.join(sorted(set(self._known)))}"
            )


def shown(value: object) -> str:
    """Write a given value as the user wrote it."""
    return quoted(value) if isinstance(value, str) else str(value)


def quoted(text: str) -> str:
    """Write a text on one line, whatever is in it."""
    return f'"{text}"' if text.isprintable() else json.dumps(text)
