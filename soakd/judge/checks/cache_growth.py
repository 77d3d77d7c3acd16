"""The effect of a bounded cache on the answer about growth: a leak beside it, or a fill that continues or has ended."""

import dataclasses
from collections.abc import Callable

import numpy as np

from soakd.judge.growth.series import FloatArray
from soakd.judge.story.cache_fill import CREDIBLE, ENTRIES, Fill, fill_of
from soakd.judge.story.rundata import EngineData, Series
from soakd.units import format_count
from soakd.verdict.check import Check, round_number
from soakd.verdict.details import CacheDetail

Judge = Callable[[Series], Check]

MOST_OVER_CAPACITY = 1.05
LEAST_GAIN = 0.01
"""A cache whose entries changed by less than this share explains nothing."""


def judge_beside_cache(data: EngineData, series: Series, judge: Judge, *, of_server: bool = False) -> Check:
    """Judge a series; if it does not pass while a bounded cache fills, judge what its entries do not explain.

    Growth that entries explain below capacity is INCONCLUSIVE: its end was not observed. At capacity it has ended.

    Args:
        data: the engine.
        series: one of its signals, in bytes.
        judge: returns the answer for a series.
        of_server: whether the series is the server's, which then holds the entries.
    """
    raw = judge(series)
    if raw.verdict == "PASS" or raw.estimate is None or of_server != (data.server is not None):
        return raw
    fill = fill_of(data, series)
    if fill is None or fill.gained <= LEAST_GAIN * fill.last or breaks_its_bound(fill):
        return raw
    if fill.bytes_per_entry is None:
        told = "cannot be told from its growth yet" if of_server else "are not known: declare bytes_per_entry"
        return _bytes_unknown(raw, fill, _grown(series), told)
    adjusted = judge(Series(series.t_s, series.y - fill.explains(series), series.segment))
    return _combined(raw, adjusted, fill, _grown(series))


def held_by_entries(data: EngineData, series: Series) -> FloatArray | None:
    """Return the bytes of a bounded cache's entries at each sample, after the load phase too; None if not known."""
    fill = fill_of(data, data.in_load(data.leak_signal)) if data.server is None else None
    if fill is None or fill.bytes_per_entry is None or breaks_its_bound(fill):
        return None
    entries = data.signal(ENTRIES)
    bound = np.inf if fill.capacity_entries is None else MOST_OVER_CAPACITY * fill.capacity_entries
    return np.asarray(fill.bytes_per_entry * np.interp(series.t_s, entries.t_s, np.minimum(entries.y, bound)))


def _combined(raw: Check, adjusted: Check, fill: Fill, grown: float) -> Check:
    if adjusted.verdict != "PASS":
        reason = "; ".join(
            filter(None, (f"beside {_entries(fill)}{_enough(raw, adjusted, fill, grown)}", adjusted.reason))
        )
        return dataclasses.replace(adjusted, reason=reason, cache=_facts(raw, fill))
    if _explains_too_much(adjusted):
        reason = f"{_entries(fill)} would explain more than has grown: is bytes_per_entry declared too large?"
        return dataclasses.replace(raw, verdict="INCONCLUSIVE", reason=reason, cache=_facts(raw, fill))
    if fill.is_full(grown):
        reason = f"grew with {_entries(fill)}, which is full now"
        return dataclasses.replace(adjusted, reason=reason, cache=_facts(raw, fill))
    return _still_filling(raw, fill, grown, f"{_entries(fill)} explains the growth")


def _bytes_unknown(raw: Check, fill: Fill, grown: float, told: str) -> Check:
    """Answer if only a capacity is known: growth with entries below it may or may not be a leak."""
    bounded_in_bytes = fill.capacity_bytes is not None and fill.capacity_entries is None
    if raw.verdict != "FAIL" or (grown >= (fill.capacity_bytes or 0.0) if bounded_in_bytes else fill.is_full(grown)):
        return raw
    return _still_filling(raw, fill, grown, f"entries grow too, and their bytes {told}")


def _still_filling(raw: Check, fill: Fill, grown: float, why: str) -> Check:
    hours = fill.full_after_hours(grown)
    capacity = f"{format_count(round(fill.last))}" + (
        f" of {format_count(fill.capacity_entries)} entries" if fill.capacity_entries else " entries"
    )
    when = (
        "it has stopped filling below its capacity" if hours is None else f"full at about hour {hours:.3g} of the run"
    )
    facts = dataclasses.replace(_facts(raw, fill), cache_filling=True, full_after_hours=round_number(hours, 3))
    return dataclasses.replace(raw, verdict="INCONCLUSIVE", reason=f"{why}: {capacity}, {when}", cache=facts)


def breaks_its_bound(fill: Fill) -> bool:
    """Return whether there are more entries than the declared capacity: then the bound excuses nothing."""
    return fill.capacity_entries is not None and fill.last > MOST_OVER_CAPACITY * fill.capacity_entries


def _explains_too_much(adjusted: Check) -> bool:
    """Return whether the remainder certainly shrinks by more than the limit. A difference of levels has no interval."""
    most = adjusted.estimate if adjusted.high is None else adjusted.high
    return most is not None and adjusted.limit is not None and most < -adjusted.limit


def _entries(fill: Fill) -> str:
    return f"a cache of {format_count(round(fill.last))} entries of {fill.bytes_per_entry:.4g} B ({fill.source})"


def _enough(raw: Check, adjusted: Check, fill: Fill, grown: float) -> str:
    """Return how large an entry would have to be to explain all growth, for comparison with the declared size."""
    left, whole, declared = adjusted.estimate or 0.0, raw.estimate or 0.0, fill.bytes_per_entry
    if fill.source != "declared" or declared is None or fill.is_full(grown) or not 0.0 < left < whole:
        return ""
    needed = declared * whole / (whole - left)
    holds = fill.capacity_bytes is None or needed * fill.last <= fill.capacity_bytes
    return f", which at {needed:.3g} B each would explain all of it" if needed <= CREDIBLE * declared and holds else ""


def _facts(raw: Check, fill: Fill) -> CacheDetail:
    return CacheDetail(
        unadjusted_estimate=raw.estimate, unadjusted_low=raw.low, unadjusted_high=raw.high,
        entries=round_number(fill.last), capacity_entries=fill.capacity_entries, capacity_bytes=fill.capacity_bytes,
        bytes_per_entry=round_number(fill.bytes_per_entry), bytes_per_entry_source=fill.source,
    )  # fmt: skip


def _grown(series: Series) -> float:
    """Return the bytes gained over a series."""
    few = max(1, len(series) // 20)
    return float(np.median(series.y[-few:]) - np.median(series.y[:few]))
