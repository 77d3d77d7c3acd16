"""One judged question and its answer, and the words that all checks share."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from soakd.verdict.severity import State, may_decide


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One judged question. Numbers that are not known are None; units stand in `unit`."""

    id: str
    verdict: State
    decides: bool = True
    """False: shown, but it does not decide the engine's own verdict. See `decides_for` for the run's."""
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    limit: float | None = None
    unit: str = ""
    reason: str = ""
    due_s: float = 0.0
    """Seconds since the origin until which its evidence may be missing because it cannot be there yet."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """What only this kind of check has, by its name in the verdict file."""

    def decides_for(self, role: str | None) -> bool:
        """Return whether it decides the verdict of the run: a check of an engine of that role, or (None) of the run."""
        return self.decides and may_decide(role, self.id)

    def as_dict(self, role: str | None) -> dict[str, Any]:
        """Write the check for the verdict file; what is not known stays away. `role` as for `decides_for`."""
        fields = {
            "id": self.id, "verdict": self.verdict, "decides": self.decides_for(role),
            "informational": None if self.decides else True,
            "estimate": self.estimate, "low": self.low, "high": self.high, "limit": self.limit,
            "unit": self.unit or None, **self.more, "reason": self.reason or None,
        }  # fmt: skip
        return {name: value for name, value in fields.items() if value is not None}


def is_deciding(check: Mapping[str, Any], role: str | None) -> bool:
    """Return whether a check of a verdict file decides the verdict of its run.

    The judge writes it. Files of older versions do not have it: there, a check decides that is not informational and
    may decide.

    Args:
        check: as the file has it.
        role: of its engine; None for a check of the run itself.
    """
    written = check.get("decides")
    if isinstance(written, bool):
        return written
    return not check.get("informational") and may_decide(role, str(check.get("id")))


def is_failing(check: Check) -> bool:
    """Tell whether a check has failed, or has so far."""
    return "FAIL" in (check.verdict, check.more.get("so_far"))


def growth_check(by_id: Mapping[str, Check], signal: str) -> Check | None:
    """Return the check on a signal's growth that says most: of two, the one that found growth."""
    found = [c for suffix in ("", ".per_operation") if (c := by_id.get(f"growth.{signal}{suffix}")) is not None]
    return next((check for check in found if is_failing(check)), found[0] if found else None)


def below(
    check_id: str,
    value: float | None,
    limit: float,
    unit: str,
    *,
    missing: str,
    decides: bool = True,
    due_s: float = 0.0,
    **more: Any,
) -> Check:
    """Judge a number that must not exceed its limit; one that is missing is INCONCLUSIVE, with `missing` as reason."""
    if value is None:
        return Check(
            id=check_id, verdict="INCONCLUSIVE", decides=decides, limit=limit, unit=unit, reason=missing, due_s=due_s
        )
    verdict: State = "PASS" if value <= limit else "FAIL"
    return Check(id=check_id, verdict=verdict, decides=decides, estimate=value, limit=limit, unit=unit, more=more)


def round_number(value: float | None, digits: int = 6) -> float | None:
    """Round to significant digits, so that files are readable and the same everywhere."""
    return None if value is None else float(f"{value:.{digits}g}")
