"""How large a record of an engine may be. What comes from an engine is cut here, before anybody reads it.

A worker cuts what its engine says before it sends it, and the daemon cuts every record as it decodes it: texts, names,
and how many of each. Texts that UTF-8 cannot carry are escaped.
"""

import math
from itertools import islice
from typing import Any

LONGEST_LINE_BYTES = 1 << 19
"""Of JSON. What fits the bounds below is shorter, however its characters are escaped."""
MOST_CHARACTERS = 1 << 16
"""In all texts and names of one record."""
LONGEST_TEXT = 4096
LONGEST_NAME = 200
MOST_ENTRIES = 400
"""In one list, or one table: a sample has 150, a heap snapshot 50."""
MOST_VALUES = 4000
MOST_DEPTH = 8
LARGEST_BITS = 64
"""Of a whole number. What is larger is no reading."""
MOST_READING = 1e18
"""No host has an exabyte, and no counter of a run comes so far."""
CUT = "..."


def bounded(body: dict[str, Any]) -> dict[str, Any]:
    """Return a record's body cut to size; what JSON does not have stays as it is."""
    cut: dict[str, Any] = _Room().value(body, MOST_DEPTH)
    return cut


def is_reading(value: Any) -> bool:
    """Return whether a value is no number that JSON carries and a reading is not: 10**30, 1e999."""
    if isinstance(value, float):
        return math.isfinite(value)
    return not isinstance(value, int) or value.bit_length() <= LARGEST_BITS


class _Room:
    """What of one record there is still room for."""

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
