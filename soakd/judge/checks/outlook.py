"""How much of the plan is complete, and what a check is worth by then: an answer before the end is not a verdict."""

import dataclasses
from dataclasses import dataclass

from soakd.verdict.check import Check
from soakd.verdict.resolution import FINAL_FROM

GROWTH = ("growth.", "observer.growth")
"""Checks that need most of the plan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """How much of the plan is complete."""

    planned_s: float
    seen_s: float
    final: bool
    """Whether the run has ended, in any way."""

    @property
    def share(self) -> float:
        """Completed share of the plan, 0 to 1."""
        return min(1.0, self.seen_s / self.planned_s) if self.planned_s else 0.0

    @property
    def may_judge(self) -> bool:
        """Whether growth may already pass or fail."""
        return self.final and self.share >= FINAL_FROM


def as_of(outlook: Outlook, check: Check, *, own: Outlook | None = None) -> Check:
    """Return the check as of now; after the end it is final, growth only if enough of the plan is complete.

    Before the end every check is INCOMPLETE, with its answer in `so_far`. A check whose evidence is not due yet has no
    answer, but the time when it is due (`due_seconds`). Growth neither passes nor fails before 80 % of the plan.

    Args:
        outlook: how much of the plan is complete.
        check: judged as if the run had ended.
        own: how much of the engine's own plan is complete, for growth.
    """
    is_growth = check.id.startswith(GROWTH)
    if is_growth and (own or outlook).final and not (own or outlook).may_judge:
        seen = f"ended early at {(own or outlook).share:.0%} of the plan: growth is judged from {FINAL_FROM:.0%} on"
        reason = "; ".join(filter(None, (seen, check.reason)))
        return dataclasses.replace(check, verdict="INCONCLUSIVE", reason=reason, so_far=check.verdict)
    if outlook.final:
        return check
    if check.verdict == "INCONCLUSIVE" and outlook.seen_s < check.due_s:
        return dataclasses.replace(check, verdict="INCOMPLETE", due_seconds=round(check.due_s, 3))
    return dataclasses.replace(check, verdict="INCOMPLETE", so_far=check.verdict)
