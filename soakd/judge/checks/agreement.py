"""Shadow comparison: both paths of a migration were asked the same, and every pair of answers must be equal."""

from collections.abc import Iterator

import numpy as np

from soakd.judge.checks.evidence import LEAST_COVERAGE
from soakd.judge.story.rundata import EngineData, Series
from soakd.units import format_count
from soakd.verdict.check import Check, round_number
from soakd.verdict.details import LoadDetail
from soakd.verdict.severity import State

COMPARED, DISAGREED = "counter.compared_total", "counter.disagreements_total"
UNANSWERED = "counter.compare_errors_total"
FINDING = "disagreement"
"""The incident for one example of a disagreement, with its input and both answers."""
LONGEST_EXAMPLE = 300


def check_agreement(data: EngineData) -> Iterator[Check]:
    """Judge whether both paths decided alike, over all lives and phases; nothing if the engine does not compare."""
    ratio = data.plan.options.get("compare_ratio")
    if data.plan.config.factory is not None or not isinstance(ratio, int | float) or not ratio > 0:
        return
    told = [i.detail or "" for i in data.incidents if i.what == FINDING]
    compared, unanswered = _total(data.signal(COMPARED)), _total(data.signal(UNANSWERED))
    disagreed = max(_total(data.signal(DISAGREED)), float(len(told)))  # reported by a life before it was counted
    share = disagreed / compared if compared else None
    state, reason = _state(data, compared, disagreed)
    if disagreed:
        of = f" of {format_count(compared)} compared decisions ({share:.3g} of them)" if share is not None else ""
        reason = f"{format_count(disagreed)}{of} disagree" + (f"; {reason}" if reason else "")
        reason += f"; for one, {told[0][:LONGEST_EXAMPLE]}" if any(told[:1]) else ""
    if unanswered:
        reason += f"{'; ' if reason else ''}{format_count(unanswered)} more had no answer on one of the paths"
    yield Check(
        id="decisions.agreement", verdict=state, estimate=disagreed if compared or disagreed else None, limit=0.0,
        unit="count", reason=reason,
        load=LoadDetail(compared=compared, disagreement_ratio=round_number(share), unanswered=unanswered or None),
    )  # fmt: skip


def _state(data: EngineData, compared: float, disagreed: float) -> tuple[State, str]:
    """Return the state: a disagreement is certain whatever else is missing, agreement is not."""
    if disagreed:
        return "FAIL", ""
    for name in (COMPARED, DISAGREED):
        if (missing := _missing(data, name)) is not None:
            return "INVALID", missing
    if not compared:
        return "INCONCLUSIVE", "no decision was compared: raise compare_ratio, or soak longer"
    return "PASS", ""


def _missing(data: EngineData, name: str) -> str | None:
    """Return which readings of a counter are missing, compared with those of the engine's operations."""
    counter, operations = data.in_load(name), data.in_load("operations_total")
    unread = np.setdiff1d(operations.segment, counter.segment)
    if not len(counter) or len(unread):
        where = "" if not len(counter) else f" in life {unread[0]}"
        return f"{name.removeprefix('counter.')} was not read{where}"
    if len(counter) < LEAST_COVERAGE * len(operations):
        return f"{name.removeprefix('counter.')} was read {len(counter)} times of {len(operations)}"
    return None


def _total(counter: Series) -> float:
    """Return the total of a counter that restarts with each life."""
    return float(sum(np.max(counter.y[counter.segment == life]) for life in np.unique(counter.segment)))
