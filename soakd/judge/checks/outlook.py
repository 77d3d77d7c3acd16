"""How much of the plan has been seen, and what may be said by then: a look before the end is not a verdict."""

import dataclasses
from dataclasses import dataclass

from soakd.verdict.check import Check
from soakd.verdict.resolution import FINAL_FROM
from soakd.verdict.severity import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """How much of the plan has been seen."""

    planned_s: float
    seen_s: float
    final: bool
    """The run has ended, in whatever way."""

    @property
    def share(self) -> float:
        """Seen share of the plan, 0 to 1."""
        return min(1.0, self.seen_s / self.planned_s) if self.planned_s else 0.0

    @property
    def may_judge(self) -> bool:
        """Whether growth may pass or fail by now."""
        return self.final and self.share >= FINAL_FROM


def as_of(outlook: Outlook, check: Check) -> Check:
    """Mark a check of a run that goes on as INCOMPLETE, its present answer kept as "so_far".

    A check whose evidence cannot be there yet has no answer so far; it says from when on it will ("due_seconds").
    """
    if outlook.final:
        return check
    if check.verdict == "INCONCLUSIVE" and outlook.seen_s < check.due_s:
        return dataclasses.replace(check, verdict="INCOMPLETE", due_seconds=round(check.due_s, 3))
    return dataclasses.replace(check, verdict="INCOMPLETE", so_far=check.verdict)


def growth_as_of(outlook: Outlook, check: Check) -> Check:
    """Take the answer back where it comes too early: before 80 % of the plan growth neither passes nor fails."""
    if outlook.may_judge:
        return check
    state, reason = _early(outlook, check.reason)
    return dataclasses.replace(check, verdict=state, reason=reason, so_far=check.verdict)


def _early(outlook: Outlook, reason: str) -> tuple[State, str]:
    if not outlook.final:
        return "INCOMPLETE", reason
    ended = f"ended early at {outlook.share:.0%} of the plan: growth is judged from {FINAL_FROM:.0%} on"
    return "INCONCLUSIVE", f"{ended}; {reason}" if reason else ended
