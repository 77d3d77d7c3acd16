"""Checks as plain values: the whole run at a glance, and each engine's checks by family."""

from dataclasses import dataclass

from soakd.verdict.check import Check
from soakd.verdict.rows import CheckRow, engine_rows
from soakd.verdict.severity import SEVERITY, worst_known
from soakd.verdict.types import EngineVerdict
from soakd.verdict.wording import leak_check

MOST_NAMED = 4

FAMILIES = {
    "growth": ("growth", "total_growth", "return_to_baseline"),
    "latency": ("latency", "response", "cascade"),
    "errors and rate": ("errors", "rate", "decisions"),
    "processor": ("cpu",),
    "stability": ("stability",),
    "recovery": ("recovery",),
    "evidence": ("evidence",),
}
"""Column of the matrix -> first part of its checks' names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyCell:
    """The checks of one family of one engine."""

    state: str
    """The worst."""
    of: str
    """How many of them have it."""
    details: str
    aside: bool
    """None of them decides."""


def leak_row(engine: EngineVerdict) -> CheckRow | None:
    """Return the check that answers whether an engine leaks; None where it has none."""
    found = leak_check(engine.checks)
    return next((row for row in engine_rows(engine) if found and row.id == found.id), None)


def not_passed(engine: EngineVerdict) -> list[str]:
    """Return the names of an engine's checks that did not pass, the worst first; none for a control."""
    if engine.role == "control":
        return []
    found = [check for check in engine.checks if not check.informational and check.verdict != "PASS"]
    found.sort(key=lambda check: -SEVERITY[check.verdict])
    named = [check.id + ("" if check.decides else " (informational)") for check in found]
    return named[:MOST_NAMED] + ([f"and {len(named) - MOST_NAMED} more"] if len(named) > MOST_NAMED else [])


def family_checks(engine: EngineVerdict, family: str) -> list[Check]:
    """Return the checks of a family that are not informational."""
    return [c for c in engine.checks if not c.informational and c.id.partition(".")[0] in FAMILIES[family]]


def family_cell(engine: EngineVerdict, family: str) -> FamilyCell | None:
    """Sum up the checks of a family; None where there are none."""
    found = family_checks(engine, family)
    state = worst_known(check.verdict for check in found)
    if state is None:
        return None
    count = sum(check.verdict == state for check in found)
    return FamilyCell(
        state=state, of=f"{count} of {len(found)}" if count != len(found) else f"{count}",
        details="; ".join(f"{check.id}: {check.verdict}" for check in found),
        aside=not any(check.decides for check in found),
    )  # fmt: skip
