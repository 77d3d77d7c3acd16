"""The exit code of each verdict."""

from collections.abc import Mapping

CODES: Mapping[str, int] = {"PASS": 0, "FAIL": 1, "INCONCLUSIVE": 3, "INVALID": 4, "INCOMPLETE": 4}
LEFT = 75
"""EX_TEMPFAIL of sysexits.h: the run can be resumed."""
