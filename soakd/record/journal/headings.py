"""The common part of samples of one kind, written once: the names of their values, and their source.

Two thirds of a sample's JSON are names that the previous sample had too. The journal stores each set of names once, as
a heading, and the values of a sample in that order. Reading returns what was written.
"""

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

MOST = 1000
"""The most sets of names in one journal; beyond that, samples with new names are written in full."""
CONSTANTS = ("source", "server")
"""Texts that every sample of one source repeats. They are stored in the heading."""


class Headings:
    """The headings of one journal, by their text; numbers count from 1."""

    def __init__(self, known: Iterable[tuple[int, str]] = ()) -> None:
        self._numbers = {text: number for number, text in known}

    def split(self, body: Mapping[str, Any]) -> tuple[int | None, str, str]:
        """Split a body into heading and values.

        Returns:
            The number of its heading, the heading if it is new or "", and its values as JSON; None, "" and the whole
            body if there are too many headings.

        Raises:
            ValueError: the body holds NaN or an infinity, which JSON does not have.
        """
        constants = {name: body[name] for name in CONSTANTS if name in body}
        names = [name for name in body if name not in constants]
        text = compact({"constants": constants, "names": names})
        number, new = self._numbers.get(text), ""
        if number is None:
            if len(self._numbers) >= MOST:
                return None, "", compact(body)
            number, new = len(self._numbers) + 1, text
            self._numbers[text] = number
        return number, new, compact([body[name] for name in names])


def joined(heading: str | None, body: Any) -> Any:
    """Return the body that was split; one that does not match its heading is returned unchanged.

    Raises:
        ValueError: the heading is damaged.
    """
    if heading is None or type(body) is not list:
        return body
    constants, names = _parsed(heading)
    return {**constants, **dict(zip(names, body, strict=True))} if len(names) == len(body) else body


def compact(value: Any) -> str:
    """Write JSON without spaces.

    Raises:
        ValueError: it holds NaN or an infinity.
    """
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


@lru_cache(maxsize=MOST)
def _parsed(heading: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    parts = json.loads(heading)
    constants, names = (parts.get("constants"), parts.get("names")) if isinstance(parts, dict) else (None, None)
    if not isinstance(constants, dict) or not isinstance(names, list) or not all(isinstance(n, str) for n in names):
        raise ValueError(f"a heading that says no names: {heading[:80]}")
    return constants, tuple(names)
