"""A filling cache looks like a leak to every signal: growth that its entries explain is subtracted before judging.

The bytes of an entry are declared by the engine, or calibrated from the fill if entries did not simply follow time (a
fill that slows down, a clear, a second life). In a straight fill they cannot be distinguished from a leak.
"""

from dataclasses import dataclass

import numpy as np

from soakd.judge.growth.series import MIN_SAMPLES, FloatArray
from soakd.judge.story.rundata import EngineData, Series

ENTRIES = "counter.entries"
FULL = 0.98
"""A cache counts as full above this share of its capacity, as expired entries make room."""
APART = 0.05
"""Share of the entries' variance that must not follow time for their bytes to be calibrated."""
SURE = 0.10
"""Greatest standard error of calibrated bytes per entry, as a share of them."""
CREDIBLE = 2.0
"""Calibrated bytes beyond this factor of the declared ones are something else than entries."""
STILL_FILLING = 0.01
"""A fill whose last quarter gained less than this share of its entries has come to rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """The filling of a bounded cache in the load phase."""

    t_s: FloatArray
    entries: FloatArray
    """Shape (n,), at t_s, through all lives."""
    bytes_per_entry: float | None
    source: str | None
    """declared or calibrated; None if unknown."""
    capacity_entries: float | None
    capacity_bytes: float | None

    @property
    def last(self) -> float:
        """Entries at the end."""
        return float(np.median(self.entries[-3:]))

    @property
    def gained(self) -> float:
        """Entries gained over the load phase."""
        return self.last - float(self.entries[0])

    def is_full(self, grown_bytes: float) -> bool:
        """Whether nothing more can come; `grown_bytes` is what the signal gained, for a capacity in bytes alone."""
        capacity = self._capacity(grown_bytes)
        return capacity is not None and self.last >= FULL * capacity

    def full_after_hours(self, grown_bytes: float) -> float | None:
        """Extrapolate the last quarter to the hour of the run at which the cache is full; None where it has stopped."""
        capacity = self._capacity(grown_bytes)
        late = self.t_s >= self.t_s[-1] - 0.25 * float(np.ptp(self.t_s))
        gained = float(self.entries[late][-1] - self.entries[late][0])
        if capacity is None or gained <= STILL_FILLING * self.last:
            return None
        per_s = gained / max(float(np.ptp(self.t_s[late])), 1e-9)
        return (float(self.t_s[-1]) + max(0.0, capacity - self.last) / per_s) / 3600.0

    def explains(self, series: Series) -> FloatArray:
        """Return the bytes that entries account for at each sample of a series, counted from its first; shape (n,)."""
        entries = np.interp(series.t_s, self.t_s, self.entries)
        return np.asarray((self.bytes_per_entry or 0.0) * (entries - entries[0]))

    def _capacity(self, grown_bytes: float) -> float | None:
        if self.capacity_entries is not None:
            return self.capacity_entries
        per_entry = self.bytes_per_entry or (grown_bytes / self.gained if self.gained > 0 else 0.0)
        return self.capacity_bytes / per_entry if self.capacity_bytes is not None and per_entry > 0 else None


def fill_of(data: EngineData, series: Series) -> Fill | None:
    """Return the filling of an engine that is bounded by design and counts its entries; None where it is not one."""
    declared, entries = data.declared, data.in_load(ENTRIES)
    capacity_entries, capacity_bytes = declared.get("capacity_entries"), declared.get("capacity_bytes")
    if data.server is not None and capacity_entries is None:  # a client does not hold what its server has room for
        capacity_entries = data.plan.options.get("capacity")
    if (capacity_entries is None and capacity_bytes is None) or len(entries) < MIN_SAMPLES or len(series) < MIN_SAMPLES:
        return None
    per_entry, source = declared.get("bytes_per_entry"), "declared"
    calibrated = calibrate(series, entries)
    if calibrated is not None and (per_entry is None or 1 / CREDIBLE <= calibrated / per_entry <= CREDIBLE):
        per_entry, source = calibrated, "calibrated"
    return Fill(
        t_s=entries.t_s, entries=entries.y, bytes_per_entry=per_entry, source=source if per_entry else None,
        capacity_entries=capacity_entries, capacity_bytes=capacity_bytes,
    )  # fmt: skip


def calibrate(series: Series, entries: Series) -> float | None:
    """Find the bytes of an entry from a series: a regression on entries and time, with a level per life.

    Args:
        series: a signal in bytes.
        entries: the count of entries.

    Returns:
        Bytes per entry; None where entries followed time too closely, or the noise is too great.

    Source: R. Frisch and F. V. Waugh, "Partial time regressions" (1933): what is left of either after time.
    """
    count = np.interp(series.t_s, entries.t_s, entries.y)
    lives = (series.segment[:, None] == np.unique(series.segment)).astype(np.float64)
    time = np.column_stack((lives, (series.t_s - series.t_s[0]) / max(float(np.ptp(series.t_s)), 1e-9)))
    count_left, y_left = (v - time @ np.linalg.lstsq(time, v, rcond=None)[0] for v in (count, series.y))
    apart = float(count_left @ count_left)
    if apart <= APART * float(np.sum((count - count.mean()) ** 2)) or not apart:
        return None
    per_entry = float(count_left @ y_left) / apart
    left = y_left - per_entry * count_left
    freedom = max(1, len(series) - time.shape[1] - 1)
    error = float(np.sqrt(left @ left / freedom / apart))
    return per_entry if per_entry > 0 and error <= SURE * per_entry else None
