"""The sentences of a verdict: the result, what a run of this length could have detected, and what it could not."""

from collections.abc import Iterable, Mapping, Sequence

from soakd.judge.checks.outlook import Outlook
from soakd.judge.checks.own_share import own_share_words
from soakd.judge.conclude.classes import Class, growth_words, limit_words
from soakd.judge.conclude.deciding_checks import deciding_checks, judged_engines
from soakd.judge.conclude.server_growth import LEAK
from soakd.judge.conclude.sites import site_words
from soakd.judge.conclude.unwatched import doubts, unwatched
from soakd.judge.conclude.waivers import hidden_words
from soakd.judge.story.rundata import EngineData, RunData
from soakd.units import format_duration, format_rate
from soakd.verdict.check import Check
from soakd.verdict.resolution import LEAST_HOURS
from soakd.verdict.severity import State
from soakd.verdict.wording import quantity_words
from soakd.wire.spec import DECIDING_ROLES


def summary(
    state: State, run: RunData, checks: Mapping[str, Sequence[Check]], run_checks: Sequence[Check],
    classes: Mapping[str, Class], outlook: Outlook, *, waived: str = "",
) -> str:  # fmt: skip
    """Return the summary of the verdict: the first finding of the state that was reached.

    It mentions waived growth, whatever the state.
    """
    aside = f"; known and waived: {waived}" if waived else ""
    if state == "PASS" and waived:
        over = f"{_names(judged_engines(run))} over {format_duration(run.plan.duration_s)}"
        return f"no leak, crash or breach of a limit that is not known in {over}{aside}"
    return _sentence(state, run, checks, run_checks, classes, outlook) + aside


def _sentence(
    state: State, run: RunData, checks: Mapping[str, Sequence[Check]], run_checks: Sequence[Check],
    classes: Mapping[str, Class], outlook: Outlook,
) -> str:  # fmt: skip
    judged = judged_engines(run)
    if state == "PASS":
        return f"no leak, crash or breach of a limit in {_names(judged)} over {format_duration(run.plan.duration_s)}"
    if state == "INCOMPLETE":
        so_far = [s for e in judged for c in deciding_checks(e, checks) if (s := _finding(e, c, classes, so_far=True))]
        return "; ".join([f"{outlook.share:.0%} of the plan seen", *so_far[:2]])
    causes_first = [(e, c) for e in judged for c in sorted(deciding_checks(e, checks), key=_is_consequence)]
    findings = [s for e, c in causes_first if c.verdict == state and (s := _finding(e, c, classes))]
    decisive = (check for check in run_checks if not check.informational and check.verdict == state)
    findings += [f"{check.id}: {check.reason}" for check in decisive]
    more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
    return (findings[0] if findings else f"no check explains {state}") + more


def _is_consequence(check: Check) -> bool:
    """Return whether a finding may follow from a crash, which comes first: missing samples or operations."""
    return check.id != "stability.crashes"


def visibility(run: RunData, checks: Mapping[str, Sequence[Check]], harness: str | None) -> Iterable[str]:
    """Return what a run of this length could have detected, soakd's own share, and what it could not have detected."""
    judged = judged_engines(run)
    for data in judged:
        deciding = [c for c in deciding_checks(data, checks) if c.id.startswith("growth.")]
        waived = any(c.waived and c.id.startswith("growth.") for c in checks[data.name])
        leak = next(iter(deciding), None) if not waived else None
        least = leak.detectable_95 if leak else None
        if leak is not None and least is not None:
            seen = "would have been seen with 95 %" + (" outside of the faults" if data.faults else "")
            yield f"{_judged_part(data)}: a leak of {_rate_words(least, leak, data)} {seen}"
        limits = data.plan.config.limits
        if limits.growth_rate_bytes_per_h is None and limits.growth_per_operation_bytes is None:
            yield f"{data.name}: no rate of growth was judged: growth_rate and growth_per_operation are off"
        yield from hidden_words(data, checks[data.name])
        yield from doubts(data, checks[data.name])
    if harness is not None:
        yield harness
    yield from unwatched(judged)
    longest_s = max((data.plan.load.duration_s for data in judged), default=0.0)
    if longest_s < LEAST_HOURS * 3600:
        yield (
            f"not shown by {format_duration(longest_s)} of load: limits per hour (they need {LEAST_HOURS:g} h), "
            "growth per time rather than per operation, anything slower than the figures above"
        )
    else:
        yield "not shown: a leak that begins in the last two hours, or a cycle longer than half of the run"


def _finding(data: EngineData, check: Check, classes: Mapping[str, Class], *, so_far: bool = False) -> str | None:
    """Describe one check that did not pass; None if it has not failed so far."""
    if so_far and check.so_far != "FAIL":
        return None
    family, _, signal = check.id.partition(".")
    if family == "growth" and check.unit.startswith("bytes/") and check.estimate is not None:
        words = growth_words(signal.removesuffix(".per_operation"), check)
        kind = _kind(signal, classes[data.name]) if check.verdict == "FAIL" else check.reason
        site = "" if signal.startswith("server_") else site_words(data, check)
        share = f"; {own_share_words(check)}" if check.verdict == "FAIL" and own_share_words(check) else ""
        return f"{data.name}: {words}, limit {limit_words(check)}" + (f": {kind}" if kind else "") + site + share
    if family == "growth" and check.verdict == "FAIL":
        return f"{data.name}: {classes[data.name].sentence}{site_words(data, check)}"
    number = "" if check.estimate is None else f" {quantity_words(check.estimate, check.unit)}"
    if number and check.limit is not None:
        number += f", limit {quantity_words(check.limit, check.unit)}"
    return f"{data.name}: {check.id}{number}" + (f": {check.reason}" if check.reason else "")


def _kind(signal: str, found: Class) -> str:
    """Return the class of what grows; the engine's, unless only its server leaks."""
    if signal.startswith("server_") and found.name != LEAK:
        return "a leak in the server"
    return found.sentence.rpartition(": ")[2]


def _rate_words(rate: float, check: Check, data: EngineData) -> str:
    if check.unit == "bytes/hour":
        return f"{format_rate(rate)} or more"
    per_hour = rate * data.plan.rate_per_s * 3600.0
    return f"{rate:.3g} B per operation ({format_rate(per_hour)} at {data.plan.rate_per_s:g} operations/s) or more"


def _names(engines: Sequence[EngineData]) -> str:
    names = [_judged_part(engine) for engine in engines]
    return ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else "".join(names)


def _judged_part(data: EngineData) -> str:
    """Return the name of the judged part of an engine: for a rival, its server."""
    return data.name if data.plan.config.role in DECIDING_ROLES else f"the server of {data.name}"
