"""Fills the templates of the report. What is put into a page is made printable and escaped, unless it is markup."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from soakd.live.status import printable
from soakd.report.html.markup import MOST_TEXT, lines, state_badge
from soakd.units import format_count, format_duration
from soakd.verdict.site_words import growth_words, share_words
from soakd.verdict.types import FaultEntry, Figure
from soakd.verdict.wording import Side, figure_name, figure_words, quantity_words, ratio_words

UNKNOWN = "unknown"
CALM = {"flat": "PASS", "caught": "PASS"}
"""A control that behaves is good news, whatever its check says."""
SIDES = ("subject", "other")
PER_CPU_SECOND = "operations_per_cpu_second"


def render(template: str, values: Mapping[str, Any]) -> str:
    """Fill a template."""
    return _ENVIRONMENT.get_template(template).render(values)


def duration(seconds: float | None) -> str:
    """Write a time: "3 min"; "unknown" for None."""
    return UNKNOWN if seconds is None else format_duration(seconds)


def quantity(value: float | None, unit: str, otherwise: str = UNKNOWN) -> str:
    """Write a number in its unit."""
    if value is None:
        return otherwise
    return format_count(round(value)) if unit == "count" else quantity_words(value, unit)


def words(name: str) -> str:
    """Write a name of the file in words: "clock_step" as "clock step"."""
    return name.replace("_", " ")


def calm(word: str, state: str) -> str:
    """Return the state whose colour a word gets."""
    return CALM.get(word, state)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def _operations_words(fault: FaultEntry) -> str:
    counts = {"failed": fault.failed_operations, "retried": fault.retried_operations, "in all": fault.operations}
    return ", ".join(f"{count:,} {word}" for word, count in counts.items() if count is not None) or UNKNOWN


def _side_words(figure: Figure, side: Side) -> str:
    found = figure_words(figure, side)
    return "not measured" if found == "-" else found


def _cpu_words(figure: Figure, side: str) -> str:
    """Write the processor time of one operation, where a figure is operations by processor time."""
    value = getattr(figure, side)
    is_rate = figure.id.startswith(PER_CPU_SECOND) and value
    return f"{quantity_words(1 / value, 'seconds')} of CPU an operation" if is_rate else ""


def _ratio_words(figure: Figure) -> str:
    either = "not known" if None in (figure.subject, figure.other) else "either may be 0"
    return ratio_words(figure) or either


def _shares(figure: Figure) -> list[str]:
    """Return the widths of two bars on one scale; none where a side was not measured."""
    sides = [float(value) for value in (figure.subject, figure.other) if value is not None and value >= 0]
    return [f"{100 * value / max(sides):.1f}%" for value in sides] if len(sides) == len(SIDES) and any(sides) else []


_FILTERS: Mapping[str, Callable[..., Any]] = {
    "count": format_count, "cpu_words": _cpu_words, "duration": duration, "figure_words": _side_words,
    "figure_name": figure_name, "growth_words": growth_words, "lines": lines,
    "operations_words": _operations_words, "quantity": quantity, "ratio_words": _ratio_words, "sentence": _sentence,
    "share_words": share_words, "shares": _shares, "words": words,
}  # fmt: skip
_ENVIRONMENT = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")), autoescape=True, undefined=StrictUndefined,
    trim_blocks=True, lstrip_blocks=True,
    finalize=lambda value: value if hasattr(value, "__html__") else printable(value, MOST_TEXT),
)  # fmt: skip
_ENVIRONMENT.filters.update(_FILTERS)
_ENVIRONMENT.globals.update(badge=state_badge, calm=calm)
