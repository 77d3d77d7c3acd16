"""Formats numbers of checks: one scale for an estimate and its interval, with the unit once."""

import math
from collections.abc import Mapping
from typing import Any

from soakd.units import BYTES, SECONDS, format_count

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

LEAK_CHECKS = ("growth.reachable_bytes", "growth.live_bytes", "growth.resident_bytes", "growth.rss_anon_bytes")


def value_words(check: Mapping[str, Any]) -> str:
    """Format estimate and interval: "31.9 B/op [31.7, 32.1]"; empty if nothing was measured."""
    estimate, low, high = (_number(check.get(name)) for name in ("estimate", "low", "high"))
    if estimate is None:
        return ""
    unit = str(check.get("unit") or "")
    if low is None or high is None:
        return quantity_words(estimate, unit)
    magnitude = max(abs(estimate), abs(low), abs(high))
    factor, label = scale(magnitude, unit)
    digits = _decimals(magnitude / factor)
    first, *bounds = (_plain(number / factor, digits) for number in (estimate, low, high))
    return f"{first}{label} [{', '.join(bounds)}]"


def limit_words(check: Mapping[str, Any]) -> str:
    """Format the limit with its unit: "16 B/op"; empty if there is none."""
    limit = _number(check.get("limit"))
    return "" if limit is None else quantity_words(limit, str(check.get("unit") or ""))


def figure_words(figure: Mapping[str, Any], side: str) -> str:
    """Format one side of a compared figure: "21 us", "2,000/s"; "-" if not measured."""
    value, unit = _number(figure.get(side)), str(figure.get("unit") or "")
    if value is None:
        return "-"
    if unit == "operations/second":
        return f"{format_count(round(value) if abs(value) >= 100 else value)}/s"
    return quantity_words(value, unit)


def figure_name(figure: Mapping[str, Any]) -> str:
    """Format the name of a figure: "operations per CPU second"."""
    return str(figure.get("id")).replace("_", " ").replace("cpu", "CPU")


def ratio_words(figure: Mapping[str, Any]) -> str:
    """Format a ratio: "14.8x"; empty if there is none."""
    ratio = _number(figure.get("ratio"))
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


def leak_check(checks: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the leak check of an engine: of the best signal, per hour before per operation."""
    names = [name + suffix for name in LEAK_CHECKS for suffix in ("", ".per_operation")]
    return next((checks[name] for name in names if name in checks), None)


def state_of(check: Mapping[str, Any]) -> str | None:
    """Return the answer of a check, or its answer so far in a live run."""
    state = check.get("so_far", check.get("verdict"))
    return None if state is None else str(state)


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


def _number(value: object) -> float | None:
    return float(value) if type(value) in (int, float) else None  # type: ignore[arg-type]
