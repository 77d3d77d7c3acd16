"""Formats numbers of checks: one scale for an estimate and its interval, with the unit once."""

import math
from collections.abc import Iterable, Mapping
from typing import Literal, Protocol

from soakd.units import BYTES, SECONDS, format_count
from soakd.verdict.check import Check
from soakd.verdict.types import Figure

PER = {"hour": "h", "operation": "op", "second": "s"}
MOST_DECIMALS = 2

STYLES = {
    "PASS": "green", "FAIL": "bold red", "INVALID": "bold magenta", "INCOMPLETE": "dim", "INCONCLUSIVE": "yellow",
    "waived": "yellow", "flat": "green", "caught": "green", "GROWS": "bold red", "MISSED": "bold red",
}  # fmt: skip
CONTROL_WORDS = {
    "control.null": {"PASS": "flat", "FAIL": "GROWS"},
    "control.leak": {"FAIL": "caught", "PASS": "MISSED"},
}
"""States of a control: one that behaves is good, even if its check says FAIL."""

Side = Literal["subject", "other"]
LEAK_CHECKS = ("growth.reachable_bytes", "growth.live_bytes", "growth.resident_bytes", "growth.rss_anon_bytes")


class Measured(Protocol):
    """Anything with an estimate, its interval and a unit: a check, or what became of a control."""

    @property
    def estimate(self) -> float | None:
        """None where nothing was measured."""

    @property
    def low(self) -> float | None:
        """None where the estimate has no interval."""

    @property
    def high(self) -> float | None:
        """None where the estimate has no interval."""

    @property
    def unit(self) -> str | None:
        """Its unit, such as bytes/hour."""


def value_words(measured: Measured) -> str:
    """Format estimate and interval: "31.9 B/op [31.7, 32.1]"; empty if nothing was measured."""
    return interval_words(measured.estimate, measured.low, measured.high, measured.unit or "")


def interval_words(estimate: float | None, low: float | None, high: float | None, unit: str) -> str:
    """Do the same from the numbers."""
    if estimate is None:
        return ""
    if low is None or high is None:
        return quantity_words(estimate, unit)
    magnitude = max(abs(estimate), abs(low), abs(high))
    factor, label = scale(magnitude, unit)
    digits = _decimals(magnitude / factor)
    first, *bounds = (_plain(number / factor, digits) for number in (estimate, low, high))
    return f"{first}{label} [{', '.join(bounds)}]"


def limit_words(check: Check) -> str:
    """Format the limit with its unit: "16 B/op"; empty if there is none."""
    return "" if check.limit is None else quantity_words(check.limit, check.unit)


def figure_words(figure: Figure, side: Side) -> str:
    """Format one side of a compared figure: "21 us", "2,000/s"; "-" if not measured."""
    value, unit = figure.subject if side == "subject" else figure.other, figure.unit
    if value is None:
        return "-"
    if unit == "operations/second":
        return f"{format_count(round(value) if abs(value) >= 100 else value)}/s"
    return quantity_words(value, unit)


def figure_name(figure: Figure) -> str:
    """Format the name of a figure: "operations per CPU second"."""
    return figure.id.replace("_", " ").replace("cpu", "CPU")


def ratio_words(figure: Figure) -> str:
    """Format a ratio: "14.8x"; empty if there is none."""
    ratio = figure.ratio
    return "" if ratio is None else f"{format_count(float(f'{ratio:.3g}'))}x"


def range_words(low: float, high: float, unit: str) -> str:
    """Format a range on one scale: "19.9 to 26.2 MB"; one number if both look the same."""
    magnitude = max(abs(low), abs(high))
    factor, label = scale(magnitude, unit)
    whole = factor == 1.0 and low == round(low) and high == round(high)
    digits = 0 if whole else _decimals(magnitude / factor)
    first, last = (_plain(number / factor, digits) for number in (low, high))
    return f"{first}{label}" if first == last else f"{first} to {last}{label}"


def scale(magnitude: float, unit: str) -> tuple[float, str]:
    """Return the divisor for numbers of a unit, and the name of the scaled unit with a leading space."""
    base, _, per = unit.partition("/")
    suffix = f"/{PER.get(per, per)}" if per else ""
    if base == "bytes":
        # Limits per hour are usually in MB/h: use it down to a tenth.
        least = 0.1 if per == "hour" else 0.9995
        factor, label = _largest(magnitude, {k: BYTES[k] for k in ("TB", "GB", "MB", "kB", "B")}, least)
    elif base == "seconds":
        factor, label = _largest(
            magnitude, {k: SECONDS[k] for k in ("s", "ms", "us", "ns")}, 0.9995 if magnitude else 0.0
        )
    elif base == "ratio":
        factor, label = 0.01, "%"
    else:
        factor, label = 1.0, "" if base == "count" else base
    words = f"{label}{suffix}"
    return factor, f" {words}" if words else ""


def leak_check(checks: Iterable[Check]) -> Check | None:
    """Return the leak check of an engine: of the best signal, per hour before per operation."""
    by_id = {check.id: check for check in checks}
    names = [name + suffix for name in LEAK_CHECKS for suffix in ("", ".per_operation")]
    return next((by_id[name] for name in names if name in by_id), None)


def control_word(kind: str, state: str | None) -> str | None:
    """Return the state to show for a control; other engines' states are unchanged."""
    return CONTROL_WORDS.get(kind, {}).get(state, state) if state is not None else None


def quantity_words(value: float, unit: str) -> str:
    """Format one number with its unit: "1.2 ms", "16 B/op"."""
    factor, label = scale(abs(value), unit)
    return format_count(value / factor if abs(value / factor) >= 10**-MOST_DECIMALS / 2 else 0.0) + label


def _largest(magnitude: float, factors: Mapping[str, float], least: float) -> tuple[float, str]:
    for label, factor in factors.items():
        if magnitude >= factor * least:
            return factor, label
    label, factor = list(factors.items())[-1]
    return factor, label


def _decimals(magnitude: float) -> int:
    if magnitude <= 0:
        return 0
    return min(MOST_DECIMALS, max(0, 2 - math.floor(math.log10(magnitude))))


def _plain(value: float, digits: int) -> str:
    text = f"{value:,.{digits}f}"
    return text.removeprefix("-") if not text.strip("-0.,") else text
