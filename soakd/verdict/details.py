"""Fields that only some checks have, in small groups; a group is None if nothing in it is known."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class GrowthDetail:
    """Growth over the other axis, what explains it, and the least rate that would have been a FAIL."""

    per_operation: float | None = None
    per_operation_low: float | None = None
    per_operation_high: float | None = None
    per_operation_minimum_detectable: float | None = None
    per_hour: float | None = None
    per_hour_low: float | None = None
    per_hour_high: float | None = None
    per_hour_minimum_detectable: float | None = None
    explained_by: str | None = None
    """operations, time, either or reloads; None if growth is not certain."""
    minimum_detectable: float | None = None
    detectable_95: float | None = None
    """The rate that would have been called FAIL with 95 %, in the unit of the check."""
    within_limit: float | None = None
    """The probability that the rate is below the limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheDetail:
    """The bounded cache whose entries were subtracted, and the growth before that."""

    unadjusted_estimate: float | None = None
    unadjusted_low: float | None = None
    unadjusted_high: float | None = None
    entries: float | None = None
    capacity_entries: float | None = None
    capacity_bytes: float | None = None
    bytes_per_entry: float | None = None
    bytes_per_entry_source: str | None = None
    cache_filling: bool | None = None
    """True if its entries explain the growth, and it is not full yet."""
    full_after_hours: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadDetail:
    """Growth at reloads."""

    reloads: int | None = None
    per_reload: float | None = None
    per_reload_low: float | None = None
    per_reload_high: float | None = None
    between_reloads: bool | None = None
    """True if growth occurs between reloads, not at them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HarnessDetail:
    """The null control's growth, in the unit of the check that was corrected for it."""

    harness_estimate: float | None = None
    harness_low: float | None = None
    harness_high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyDetail:
    """Latency windows, and the quantiles over those that count."""

    windows: int | None = None
    driver_bound_windows: int | None = None
    service_p50_s: float | None = None
    service_p95_s: float | None = None
    service_p99_s: float | None = None
    response_p50_s: float | None = None
    response_p99_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadDetail:
    """Outcomes of the operations that were due."""

    errors: float | None = None
    errors_in_faults: float | None = None
    achieved_per_second: float | None = None
    dropped: float | None = None
    skipped: float | None = None
    compared: float | None = None
    disagreement_ratio: float | None = None
    unanswered: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceDetail:
    """What is missing in the record."""

    longest_gap_seconds: float | None = None
    dropped_records: float | None = None
    lost_records: int | None = None
    gaps: int | None = None
    failed_readings: Mapping[str, float] | None = None
    """Probe -> readings that failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultDetail:
    """Effects of faults on purpose, or of a server's outages."""

    outages: int | None = None
    operations: float | None = None
    faults: int | None = None
    took_place: int | None = None
    median_seconds: float | None = None
    failed_operations: int | None = None
    retried_operations: int | None = None
    bytes_not_returned: float | None = None
    usual_seconds: float | None = None
    ratio: float | None = None
