"""Turns a growth answer into a check, given the length of the run and the resolution of the signal."""

from dataclasses import dataclass, field, replace

from soakd.judge.growth.method import Growth
from soakd.units import format_bytes
from soakd.verdict.check import Check, round_number
from soakd.verdict.details import GrowthDetail
from soakd.verdict.severity import State


@dataclass(frozen=True, slots=True, kw_only=True)
class GrowthAnswer:
    """A growth answer, before it becomes a check."""

    growth: Growth
    limit: float
    unit: str
    span: float
    """Length of the series, in hours or operations."""
    resolution: float
    """The least growth over the whole span that the signal can resolve, in its own unit."""
    too_short: str = ""
    """Why a series of this length cannot pass."""
    slowing: bool = False
    """Whether it slows down like a warm-up: a series too short to pass cannot fail either then."""
    other: GrowthDetail = field(default_factory=GrowthDetail)
    """The same over the other axis."""
    explained_by: str | None = None

    @property
    def minimum_detectable(self) -> float | None:
        """The rate that would have been a FAIL, from the interval's width and the signal's resolution."""
        if self.growth.minimum_detectable is None or not self.span:
            return None
        return max(self.growth.minimum_detectable, self.resolution / self.span)

    def check(self, check_id: str, *, decides: bool) -> Check:
        """Return the check, as if the whole plan was complete."""
        growth = self.growth
        state, reason = self.state()
        detail = replace(
            self.other, explained_by=self.explained_by, minimum_detectable=round_number(self.minimum_detectable)
        )
        return Check(
            id=check_id, verdict=state, informational=not decides, unit=self.unit, reason=reason,
            estimate=round_number(growth.estimate), low=round_number(growth.low), high=round_number(growth.high),
            limit=self.limit, growth=detail, samples=growth.samples, method=growth.method,
        )  # fmt: skip

    def state(self) -> tuple[State, str]:
        """Return the answer, and the reason if there is one."""
        growth = self.growth
        if growth.estimate is None or growth.low is None:
            return "INCONCLUSIVE", growth.reason
        if growth.state == "FAIL" and growth.low * self.span < self.resolution:
            grown, least = format_bytes(growth.estimate * self.span), format_bytes(self.resolution)
            return "INCONCLUSIVE", f"grew by {grown}, less than the {least} that this signal resolves: soak longer"
        if growth.state == "FAIL" and self.too_short and self.slowing:
            return "INCONCLUSIVE", f"growth slows down, as a warm-up does; {self.too_short}"
        if growth.state == "PASS" and self.too_short:
            return "INCONCLUSIVE", self.too_short
        if growth.state == "PASS" and growth.estimate - growth.low > self.limit:
            return "INCONCLUSIVE", "the interval is so wide that a leak of twice the limit could have been missed"
        if growth.state == "INCONCLUSIVE" and not growth.reason:
            return "INCONCLUSIVE", "the limit lies inside the interval: soak longer or sample more often"
        return growth.state, growth.reason
