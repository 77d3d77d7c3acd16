"""Shadow comparison: for some operations both policies are asked the same, and must give the same answer.

Compared decisions never come from a cache. Numbers are compared as in JSON: 1 equals 1.0, and true is not 1.
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
    """Chooses the operations to compare, and counts the results.

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
        """Return whether to compare this operation; call it once for each."""
        self._left -= 1
        if self._left:
            return False
        self._left = self._gap()
        return True

    def note(self, given: Mapping[str, Any], new: Any, old: Any) -> None:
        """Compare two decisions on one input."""
        self._compared += 1
        try:
            if same(new, old):
                return
        except RecursionError:  # nested deeper than Python compares: compare the texts
            if repr(new) == repr(old):
                return
        self._disagreements += 1
        if self._told < MOST_FINDINGS:
            self._told += 1
            self._findings.append(_finding(given, new, old))

    def note_error(self) -> None:
        """Count a comparison that failed because a policy had no decision."""
        self._errors += 1

    def take_findings(self) -> list[dict[str, Any]]:
        """Return the disagreements since the last call, at most `MOST_FINDINGS` in a life."""
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
        """Draw the number of operations to the next comparison: geometric, so that each has the same chance."""
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
    """Return a value fit for a record: one that is too long or not JSON is replaced by a text."""
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
        return f"a {type(value).__name__} that JSON cannot represent"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."
