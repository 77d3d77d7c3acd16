"""Turns a growth answer into a check, given the length of the run and the resolution of the signal."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace

from soakd.judge.growth.detectable import detectable_95
from soakd.judge.growth.method import BLIND, Growth
from soakd.units import format_bytes
from soakd.verdict.check import Check, round_number
from soakd.verdict.details import GrowthDetail
from soakd.verdict.severity import State

IMPROBABLE = 0.3
"""Resident memory may grow beyond the limit with less than this probability, where reachable bytes are flat.

Memory that was returned, or a heap that was trimmed once, leaves it open; a leak that only residence shows (in an
allocator of its own, in mapped memory) makes growth more probable than this. Its ceiling must also rise by less than
the limit. Measured: docs/adr/0003.
"""


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

    @property
    def _beyond(self) -> float:
        """The probability that the rate is above the limit; 1 where nothing is known."""
        return 1.0 - (self.growth.within_limit or 0.0)

    @property
    def _is_improbable(self) -> bool:
        """Whether growth beyond the limit is open, and improbable where nothing that can be reached grows."""
        growth = self.growth
        seen = growth.minimum_detectable is not None and growth.minimum_detectable <= BLIND * self.limit
        below = growth.ceiling_rate is not None and growth.ceiling_rate < self.limit
        return (
            growth.state == "INCONCLUSIVE" and seen and below and not growth.lives_differ and self._beyond < IMPROBABLE
        )

    @property
    def detectable_95(self) -> float | None:
        """The rate that would have been called FAIL with 95 %."""
        growth = self.growth
        if growth.estimate is None or growth.low is None or growth.certain_low is None or not self.span:
            return None
        floor = max(self.limit, self.resolution / self.span)
        return detectable_95(floor, growth.estimate - growth.certain_low, growth.estimate - growth.low)

    def check(self, check_id: str, *, decides: bool, flat: Collection[str] = ()) -> Check:
        """Return the check, as if the whole plan was complete.

        Args:
            check_id: the check.
            decides: it decides the verdict of its engine.
            flat: checks beside which reachable bytes are far below their limit.
        """
        growth = self.growth
        state, reason = self.state(is_flat=check_id in flat)
        detail = replace(
            self.other,
            explained_by=self.explained_by,
            minimum_detectable=round_number(self.minimum_detectable),
            detectable_95=round_number(self.detectable_95),
            within_limit=round_number(growth.within_limit, 3),
        )
        return Check(
            id=check_id, verdict=state, informational=not decides, unit=self.unit, reason=reason,
            estimate=round_number(growth.estimate), low=round_number(growth.low), high=round_number(growth.high),
            limit=self.limit, growth=detail, samples=growth.samples, method=growth.method,
        )  # fmt: skip

    def state(self, *, is_flat: bool = False) -> tuple[State, str]:
        """Return the answer, and the reason if there is one."""
        growth = self.growth
        if growth.estimate is None or growth.low is None:
            return "INCONCLUSIVE", growth.reason
        if is_flat and not self.too_short and self._is_improbable:
            return "PASS", f"growth beyond the limit has a chance of {self._beyond:.0%}, and reachable bytes are flat"
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
