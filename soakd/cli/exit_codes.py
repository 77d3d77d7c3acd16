"""The exit code of each verdict."""

from collections.abc import Mapping

CODES: Mapping[str, int] = {"PASS": 0, "FAIL": 1, "INCONCLUSIVE": 3, "INVALID": 4, "INCOMPLETE": 4}
