"""Shadow comparison: now and then both policies are asked the same, and may not answer differently.

What is compared never comes from a cache. Numbers are equal where JSON says so (1 and 1.0); true is not 1.
"""

import json
import math
import random
from collections.abc import Mapping
from typing import Any

from soakd.worker.engines.undefined import UNDEFINED

MOST_FINDINGS = 20
LONGEST_INPUT = 4000
LONGEST_DECISION = 500


class ShadowComparison:
    """Which operations are compared, and what came out.

    Args:
        ratio: share of the operations, from 0 to 1.
        seed: the same seed chooses the same operations.
    """

    def __init__(self, ratio: float, seed: int) -> None:
        self._draw = random.Random(seed).random
        self._log_of_rest = math.log1p(-ratio) if ratio < 1 else -math.inf
        self._compared = self._disagreements = self._errors = 0
        self._findings: list[dict[str, Any]] = []
        self._told = 0
        self._left = self._gap() if ratio > 0 else 0

    def is_due(self) -> bool:
        """Return whether to compare at this operation; asked once for each."""
        self._left -= 1
        if self._left:
            return False
        self._left = self._gap()
        return True

    def note(self, given: Mapping[str, Any], new: Any, old: Any) -> None:
        """Take note of two decisions on one input."""
        self._compared += 1
        try:
            if same(new, old):
                return
        except RecursionError:  # deeper than Python may look: equal texts are equal
            if repr(new) == repr(old):
                return
        self._disagreements += 1
        if self._told < MOST_FINDINGS:
            self._told += 1
            self._findings.append(_finding(given, new, old))

    def note_error(self) -> None:
        """Take note of a comparison that one of the policies had no decision for."""
        self._errors += 1

    def take_findings(self) -> list[dict[str, Any]]:
        """Return the disagreements that nobody has taken yet, at most `MOST_FINDINGS` in a life."""
        taken, self._findings = self._findings, []
        return taken

    def counters(self) -> Mapping[str, float]:
        """Return the totals."""
        return {
            "compared_total": self._compared,
            "disagreements_total": self._disagreements,
            "compare_errors_total": self._errors,
        }

    def _gap(self) -> int:
        """Draw how many operations it is to the next comparison: geometric, so that each has the same chance."""
        return 1 + int(min(math.log(1.0 - self._draw()) / self._log_of_rest, 1e12))


def same(one: Any, other: Any) -> bool:
    """Return whether two decisions are the same JSON value, or both undefined."""
    if one is UNDEFINED or other is UNDEFINED or isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def _finding(given: Mapping[str, Any], new: Any, old: Any) -> dict[str, Any]:
    detail = f"new: {_cut(_text(new), 60)}, old: {_cut(_text(old), 60)}, on {_cut(_text(given), 200)}"
    return {
        "what": "disagreement",
        "detail": detail,
        "input": _recorded(given, LONGEST_INPUT),
        "new": _recorded(new, LONGEST_DECISION),
        "old": _recorded(old, LONGEST_DECISION),
    }


def _recorded(value: Any, most: int) -> Any:
    """Return a value as a record can bear it: in place of what is too long, or no JSON, stands a text."""
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return _text(value)
    return value if len(text) <= most else _cut(text, most)


def _text(value: Any) -> str:
    if value is UNDEFINED:
        return "undefined"
    try:
        return json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        return f"a {type(value).__name__} that JSON cannot say"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."
