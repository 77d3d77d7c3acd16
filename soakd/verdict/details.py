"""What only some checks have, in small groups; None where nothing of a group is known."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class GrowthDetail:
    """Growth over the other axis, what explains it, and the least rate that would have been called FAIL."""

    per_operation: float | None = None
    per_operation_low: float | None = None
    per_operation_high: float | None = None
    per_operation_minimum_detectable: float | None = None
    per_hour: float | None = None
    per_hour_low: float | None = None
    per_hour_high: float | None = None
    per_hour_minimum_detectable: float | None = None
    explained_by: str | None = None
    """operations, time, either or reloads; None where nothing grows for certain."""
    minimum_detectable: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheDetail:
    """The bounded cache whose entries were taken off, and the growth with them still in it."""

    unadjusted_estimate: float | None = None
    unadjusted_low: float | None = None
    unadjusted_high: float | None = None
    entries: float | None = None
    capacity_entries: float | None = None
    capacity_bytes: float | None = None
    bytes_per_entry: float | None = None
    bytes_per_entry_source: str | None = None
    cache_filling: bool | None = None
    """True where its entries explain the growth, and it is not full yet."""
    full_after_hours: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadDetail:
    """How growth goes with reloads."""

    reloads: int | None = None
    per_reload: float | None = None
    per_reload_low: float | None = None
    per_reload_high: float | None = None
    between_reloads: bool | None = None
    """True where growth comes between reloads and not at them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HarnessDetail:
    """What the null control grew, in the unit of the check that it was held against."""

    harness_estimate: float | None = None
    harness_low: float | None = None
    harness_high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyDetail:
    """Windows of latency, and the quantiles over those that count."""

    windows: int | None = None
    driver_bound_windows: int | None = None
    service_p50_s: float | None = None
    service_p95_s: float | None = None
    service_p99_s: float | None = None
    response_p50_s: float | None = None
    response_p99_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadDetail:
    """What became of the operations that were due."""

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
    """What is missing of the record."""

    longest_gap_seconds: float | None = None
    dropped_records: float | None = None
    lost_records: int | None = None
    gaps: int | None = None
    failed_readings: Mapping[str, float] | None = None
    """Probe -> readings that failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultDetail:
    """What faults on purpose, or outages of a server, have left."""

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
