"""One judged question and its answer, and the words that all checks share."""

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
    """One judged question. Numbers that are not known are None; units stand in `unit`."""

    id: str
    verdict: State
    decides: bool = written(True)
    """It decides the verdict of the run."""
    informational: bool = False
    """It is shown, and does not decide the verdict of its engine either."""
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
    """Of observer.growth: what of the daemon is judged."""
    evidence: EvidenceDetail | None = field(default=None, metadata=FLAT)
    faults: FaultDetail | None = field(default=None, metadata=FLAT)
    cache: CacheDetail | None = field(default=None, metadata=FLAT)
    so_far: State | None = None
    """The present answer of a check that cannot be final yet."""
    due_seconds: float | None = None
    """While the run goes on: its evidence cannot be there before, and there is no `so_far`."""
    time_to_limit_seconds: float | None = None
    """While the run goes on: until total growth, or the host's memory, is used up."""
    reloads: ReloadDetail | None = field(default=None, metadata=FLAT)
    harness: HarnessDetail | None = field(default=None, metadata=FLAT)
    waived: tuple[str, ...] = ()
    """The waivers that cover this check, which fails and decides nothing."""
    waived_up_to: float | None = None
    """The growth that they list, in the unit of the check."""
    reason: str = ""
    due_s: float = unwritten(0.0)
    """Seconds since the origin until which its evidence may be missing because it cannot be there yet."""

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
        """Growth in bytes per operation, whichever axis was judged; None where it is not known."""
        if self.unit == "bytes/operation":
            return self.estimate
        return self.growth.per_operation if self.growth else None

    @property
    def per_hour(self) -> float | None:
        """Growth in bytes per hour, whichever axis was judged; None where it is not known."""
        if self.unit == "bytes/hour":
            return self.estimate
        return self.growth.per_hour if self.growth else None

    @property
    def minimum_detectable(self) -> float | None:
        """The rate that would have been called FAIL, in `unit`; None where it is not known."""
        return self.growth.minimum_detectable if self.growth else None

    @property
    def is_cache_filling(self) -> bool:
        """Whether entries of a bounded cache explain the growth, and it is not full yet."""
        return self.cache is not None and bool(self.cache.cache_filling)

    def decides_for(self, role: str | None) -> bool:
        """Return whether it decides the verdict of the run: a check of an engine of that role, or (None) of the run."""
        return not self.informational and may_decide(role, self.id)

    def of_role(self, role: str | None) -> Self:
        """Return the check as it stands in the verdict of an engine of that role, or (None) of the run."""
        return dataclasses.replace(self, decides=self.decides_for(role))

    def as_dict(self) -> dict[str, Any]:
        """Write the check as the verdict file has it."""
        table: dict[str, Any] = to_json(self)
        return table


def is_deciding(check: Mapping[str, Any], role: str | None) -> bool:
    """Return whether a check in the JSON of a verdict file decides the verdict of its run.

    The judge writes it. Files of older versions do not have it: there, a check decides that is not informational and
    may decide.

    Args:
        check: as the file has it.
        role: of its engine; None for a check of the run itself.
    """
    written_there = check.get("decides")
    if isinstance(written_there, bool):
        return written_there
    return not check.get("informational") and may_decide(role, str(check.get("id")))


def growth_check(by_id: Mapping[str, Check], signal: str) -> Check | None:
    """Return the check on a signal's growth that says most: of two, the one that found growth."""
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
    """Judge a number that must not exceed its limit; one that is missing is INCONCLUSIVE, with `missing` as reason."""
    if value is None:
        return Check(id=check_id, verdict="INCONCLUSIVE", limit=limit, unit=unit, reason=missing, due_s=due_s)
    return Check(
        id=check_id, verdict="PASS" if value <= limit else "FAIL", estimate=value, limit=limit, unit=unit,
        load=load, latency=latency,
    )  # fmt: skip


def round_number(value: float | None, digits: int = 6) -> float | None:
    """Round to significant digits, so that files are readable and the same everywhere."""
    return None if value is None else float(f"{value:.{digits}g}")
