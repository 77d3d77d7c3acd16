"""Bounds on an engine's records. Data from an engine is cut here before anything else reads it.

A worker cuts its engine's data before it sends it, and the daemon cuts every record as it decodes it: the lengths of
texts and names, and their numbers. Texts that UTF-8 cannot represent are escaped.
"""

import math
from itertools import islice
from typing import Any

LONGEST_LINE_BYTES = 1 << 19
"""The longest line of JSON. Records within the bounds below are shorter, however their characters are escaped."""
MOST_CHARACTERS = 1 << 16
"""The most characters in all texts and names of one record."""
LONGEST_TEXT = 4096
LONGEST_NAME = 200
MOST_ENTRIES = 400
"""The most entries in one list or table: a sample has 150, a heap snapshot 50."""
MOST_VALUES = 4000
MOST_DEPTH = 8
LARGEST_BITS = 64
"""The largest whole number, in bits; anything larger is not a reading."""
MOST_READING = 1e18
"""The largest reading: no host has an exabyte, and no counter gets this far."""
CUT = "..."


def bounded(body: dict[str, Any]) -> dict[str, Any]:
    """Return a record's body cut to size; values that JSON does not have are kept unchanged."""
    cut: dict[str, Any] = _Room().value(body, MOST_DEPTH)
    return cut


def is_reading(value: Any) -> bool:
    """Return whether a value is a possible reading, unlike 10**30 and 1e999, which JSON allows."""
    if isinstance(value, float):
        return math.isfinite(value)
    return not isinstance(value, int) or value.bit_length() <= LARGEST_BITS


class _Room:
    """The space left in one record."""

    def __init__(self) -> None:
        self._characters = MOST_CHARACTERS
        self._values = MOST_VALUES

    def value(self, value: Any, depth: int) -> Any:
        self._values -= 1
        if isinstance(value, str):
            return self._text(value, LONGEST_TEXT)
        if isinstance(value, dict | list | tuple):
            return self._inner(value, depth)
        return value if is_reading(value) else None

    def _inner(self, value: "dict[Any, Any] | list[Any] | tuple[Any, ...]", depth: int) -> Any:
        entries = islice(value, MOST_ENTRIES if depth else 0)
        if not isinstance(value, dict):
            return [self.value(entry, depth - 1) for entry in entries if self._values > 0]
        return {
            (self._text(key, LONGEST_NAME) if isinstance(key, str) else key): self.value(value[key], depth - 1)
            for key in entries
            if self._values > 0
        }

    def _text(self, text: str, longest: int) -> str:
        longest = min(longest, self._characters)
        kept = text if len(text) <= longest else text[: max(0, longest - len(CUT))] + CUT[:longest]
        self._characters -= len(kept)
        return kept.encode("utf-8", "backslashreplace").decode()
