"""One judged question and its answer."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from soakd.verdict.codec import FLAT, to_json, unwritten, written
from soakd.verdict.details import (
    CacheDetail,
    EvidenceDetail,
    FaultDetail,
    GrowthDetail,
    HarnessDetail,
    LatencyDetail,
    LoadDetail,
    ReloadDetail,
)
from soakd.verdict.severity import State, may_decide


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One judged question. Unknown numbers are None; their unit is in `unit`."""

    id: str
    verdict: State
    decides: bool = written(True)
    """Whether it decides the verdict of the run."""
    informational: bool = False
    """Whether it is only shown, and does not decide the verdict of its engine either."""
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    limit: float | None = None
    unit: str = ""
    growth: GrowthDetail | None = field(default=None, metadata=FLAT)
    load: LoadDetail | None = field(default=None, metadata=FLAT)
    latency: LatencyDetail | None = field(default=None, metadata=FLAT)
    samples: int | None = None
    method: str | None = None
    signal: str | None = None
    """For observer.growth: the signal of the daemon that is judged."""
    evidence: EvidenceDetail | None = field(default=None, metadata=FLAT)
    faults: FaultDetail | None = field(default=None, metadata=FLAT)
    cache: CacheDetail | None = field(default=None, metadata=FLAT)
    so_far: State | None = None
    """The current answer of a check that is not final yet."""
    due_seconds: float | None = None
    """In a live run: when its evidence is due; there is no `so_far` before."""
    time_to_limit_seconds: float | None = None
    """In a live run: the time until total growth, or the host's memory, is used up."""
    reloads: ReloadDetail | None = field(default=None, metadata=FLAT)
    harness: HarnessDetail | None = field(default=None, metadata=FLAT)
    waived: tuple[str, ...] = ()
    """The waivers that cover this failing check, so that it does not decide."""
    waived_up_to: float | None = None
    """The growth that they cover, in the unit of the check."""
    reason: str = ""
    due_s: float = unwritten(0.0)
    """Seconds since the origin before which its evidence is not due."""

    @property
    def answer(self) -> State:
        """The answer, or the answer so far."""
        return self.so_far or self.verdict

    @property
    def is_failing(self) -> bool:
        """Whether it has failed, or has so far."""
        return self.answer == "FAIL"

    @property
    def per_operation(self) -> float | None:
        """Growth in bytes per operation, whichever axis was judged; None if not known."""
        if self.unit == "bytes/operation":
            return self.estimate
        return self.growth.per_operation if self.growth else None

    @property
    def per_hour(self) -> float | None:
        """Growth in bytes per hour, whichever axis was judged; None if not known."""
        if self.unit == "bytes/hour":
            return self.estimate
        return self.growth.per_hour if self.growth else None

    @property
    def minimum_detectable(self) -> float | None:
        """The rate that would have been a FAIL, in `unit`; None if not known."""
        return self.growth.minimum_detectable if self.growth else None

    @property
    def detectable_95(self) -> float | None:
        """The rate that is seen with 95 %, in `unit`; of an older verdict the least that could fail."""
        if self.growth is None or self.growth.detectable_95 is None:
            return self.minimum_detectable
        return self.growth.detectable_95

    @property
    def is_cache_filling(self) -> bool:
        """Whether entries of a bounded cache explain the growth, and it is not full yet."""
        return self.cache is not None and bool(self.cache.cache_filling)

    def decides_for(self, role: str | None) -> bool:
        """Return whether it decides the run's verdict, as a check of an engine of that role, or (None) of the run."""
        return not self.informational and may_decide(role, self.id)

    def of_role(self, role: str | None) -> Self:
        """Return the check for the verdict of an engine of that role, or (None) of the run."""
        return dataclasses.replace(self, decides=self.decides_for(role))

    def as_dict(self) -> dict[str, Any]:
        """Return the check as JSON for the verdict file."""
        table: dict[str, Any] = to_json(self)
        return table


def is_deciding(check: Mapping[str, Any], role: str | None) -> bool:
    """Return whether a check in the JSON of a verdict file decides the verdict of its run.

    The judge writes the field. In files of older versions a check decides if it is not informational and may decide.

    Args:
        check: the check in the file.
        role: of its engine; None for a check of the run itself.
    """
    written_there = check.get("decides")
    if isinstance(written_there, bool):
        return written_there
    return not check.get("informational") and may_decide(role, str(check.get("id")))


def growth_check(by_id: Mapping[str, Check], signal: str) -> Check | None:
    """Return the more informative check on a signal's growth: of two, the one that found growth."""
    found = [c for suffix in ("", ".per_operation") if (c := by_id.get(f"growth.{signal}{suffix}")) is not None]
    return next((check for check in found if check.is_failing), found[0] if found else None)


def below(
    check_id: str,
    value: float | None,
    limit: float,
    unit: str,
    *,
    missing: str,
    due_s: float = 0.0,
    load: LoadDetail | None = None,
    latency: LatencyDetail | None = None,
) -> Check:
    """Judge a number that must not exceed its limit; a missing one is INCONCLUSIVE, with `missing` as reason."""
    if value is None:
        return Check(id=check_id, verdict="INCONCLUSIVE", limit=limit, unit=unit, reason=missing, due_s=due_s)
    return Check(
        id=check_id, verdict="PASS" if value <= limit else "FAIL", estimate=value, limit=limit, unit=unit,
        load=load, latency=latency,
    )  # fmt: skip


def round_number(value: float | None, digits: int = 6) -> float | None:
    """Round to significant digits, so that files are readable and the same everywhere."""
    return None if value is None else float(f"{value:.{digits}g}")
