"""How much of the plan has been seen, and what may be said by then: a look before the end is not a verdict."""

import dataclasses
from dataclasses import dataclass

from soakd.verdict.check import Check
from soakd.verdict.resolution import FINAL_FROM

GROWTH = ("growth.", "observer.growth")
"""Checks that take most of the plan."""


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


def as_of(outlook: Outlook, check: Check, *, own: Outlook | None = None) -> Check:
    """Say what an answer is worth by now; it stands once the run has ended, and growth where enough was seen of it.

    Before the end every check is INCOMPLETE, and its answer is `so_far`. A check whose evidence cannot be there yet has
    none; it says from when on it will ("due_seconds"). Growth neither passes nor fails before 80 % of the plan.

    Args:
        outlook: how much of the plan has been seen.
        check: as it was judged, as if the run had ended.
        own: how much of its own plan the engine has seen, for growth.
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
