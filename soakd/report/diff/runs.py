"""Differences between two verdicts: leaks that are the same, new or gone, and changes of growth.

Leaks are matched by their fingerprints. What one of the runs could not have found is "unknown", never "gone" or "new".
"""

from collections.abc import Iterator, Mapping
from typing import Any

from soakd.verdict.check import Check
from soakd.verdict.types import EngineVerdict, RunFacts, Verdict
from soakd.wire.sites import Site, encode
from soakd.wire.spec import DECIDING_ROLES

SCHEMA = "soakd.diff/1"
FAMILIES = ("growth.", "total_growth.", "return_to_baseline")
LEAST_CHANGE = 0.10
"""Least relative change of growth, besides intervals that do not overlap: two hosts never agree to the last byte."""
EXPLAINED = 0.90
"""Share of the growth explained by named sites from which on a missing site is gone."""
OPEN = ("INCONCLUSIVE", "INVALID", "INCOMPLETE")

Engine = EngineVerdict


def diff_runs(before: Verdict, after: Verdict, unlike: Mapping[str, Any]) -> dict[str, Any]:
    """Compare two runs by their verdicts.

    Args:
        before: the verdict of the one.
        after: of the other's, the one that is asked about.
        unlike: what `differences` found in their plans and environments, and `changed_packages` in their packages.

    Returns:
        `answer`: "new" where the second has a leak, a failing check or faster growth that the first has not;
        "unknown" where nothing is new as far as it could be told, but not all of it could; "same" otherwise. With
        `why`, the reasons; and per engine its leaks, growth and other checks that changed.
    """
    engines = [_diff_engine(name, before.engine(name), after.engine(name)) for name in _names(before, after)]
    new = [reason for engine in engines for reason in engine.pop("_new")]
    unknown = [reason for engine in engines for reason in engine.pop("_unknown")]
    if after.verdict in ("INVALID", "INCOMPLETE"):
        unknown.insert(0, f"{after.run_id} is {after.verdict}")
    return {
        "schema": SCHEMA,
        "answer": "new" if new else "unknown" if unknown else "same",
        "why": new or unknown,
        "from": _head(before), "to": _head(after),
        "differences": {name: list(found) for name, found in unlike.items()},
        "engines": engines,
    }  # fmt: skip


def _head(verdict: Verdict) -> dict[str, Any]:
    run = verdict.run or RunFacts()
    return {
        "run_id": verdict.run_id, "verdict": verdict.verdict, "summary": verdict.summary,
        "started_at": run.started_at, "planned_seconds": run.planned_seconds, "observed_seconds": run.observed_seconds,
    }  # fmt: skip


def _names(before: Verdict, after: Verdict) -> list[str]:
    return list(dict.fromkeys(engine.name for verdict in (before, after) for engine in verdict.engines))


def _diff_engine(name: str, before: Engine | None, after: Engine | None) -> dict[str, Any]:
    role = next(engine.role for engine in (after, before) if engine is not None)
    leaks = list(_leaks(before, after)) if role != "control" else []
    growth = list(_growth(before, after))
    changed = list(_changed(before, after))
    decides = role in DECIDING_ROLES
    new = [f"{name}: new leak: {leak['site']}" for leak in leaks if leak["state"] == "new" and decides]
    new += [f"{name}: {c['id']} fails, and did not" for c in [*growth, *changed] if decides and _fails_newly(c)]
    new += [f"{name}: {c['id']} grows faster" for c in growth if decides and _fails_faster(c)]
    unknown = [f"{name}: {leak['site']}: {leak['why']}" for leak in leaks if leak["state"] == "unknown" and decides]
    unknown += [f"{name}: {why}" for why in _unanswered(before, after)] if decides else []
    return {
        "name": name, "role": role, "in": "both" if before and after else "from" if before else "to",
        "verdict": {"from": before and before.verdict, "to": after and after.verdict},
        "class": {"from": before and before.growth_class, "to": after and after.growth_class},
        "leaks": leaks, "growth": growth, "changed": changed, "_new": new, "_unknown": unknown,
    }  # fmt: skip


def _leaks(before: Engine | None, after: Engine | None) -> Iterator[dict[str, Any]]:
    """Pair the sites by fingerprint, in the order of the second run, then what only the first has."""
    old, new = _sites(before), _sites(after)
    for print_, site in new.items():
        yield _leak(old.get(print_), site, *(("same", None) if print_ in old else _is_new(before, after)))
    for print_, site in old.items():
        if print_ not in new:
            yield _leak(site, None, *_is_gone(after))


def _sites(engine: Engine | None) -> dict[str, Site]:
    return {site.fingerprint: site for site in (engine.attribution if engine is not None else ())}


def _leak(old: Site | None, new: Site | None, state: str, why: str | None) -> dict[str, Any]:
    named = new or old
    assert named is not None
    rates = [site and site.bytes_per_operation for site in (old, new)]
    leak: dict[str, Any] = {
        "state": state, "fingerprint": named.fingerprint, "site": named.place, "known": named.known,
        "from": _figures(old), "to": _figures(new),
    }  # fmt: skip
    if rates[0] and rates[1]:
        leak["ratio"] = round(rates[1] / rates[0], 3)
    return leak | ({} if why is None else {"why": why})


def _figures(site: Site | None) -> dict[str, Any] | None:
    names = ("site", "bytes_per_operation", "things_per_operation", "share", "confidence", "held_by")
    fields = {} if site is None else encode(site)
    return None if site is None else {name: fields[name] for name in names if name in fields}


def _is_new(before: Engine | None, after: Engine | None) -> tuple[str, str | None]:
    if not _grows(after):
        return "suspected", "the engine's growth is not above its limit"
    if before is None:
        return "new", "the engine did not run then"
    if _grows(before) and not before.attribution:
        return "unknown", "the engine failed by its growth then too, and no site was named"
    return "new", None


def _is_gone(after: Engine | None) -> tuple[str, str | None]:
    if after is None:
        return "unknown", "the engine did not run now"
    if not _grows(after):
        state = _growth_state(after)
        return ("gone", None) if state == "PASS" else ("unknown", f"its growth is {state} now")
    if sum(site.share or 0.0 for site in _sites(after).values()) >= EXPLAINED:
        return "gone", "other sites explain the growth now"
    return "unknown", "the engine fails by its growth now too, and what was named does not explain it"


def _checks(engine: Engine | None) -> dict[str, Check]:
    return {check.id: check for check in (engine.checks if engine is not None else ())}


def _deciding(engine: Engine | None) -> list[Check]:
    """Return the checks of growth that decide, or would without a waiver."""
    checks = _checks(engine).values()
    return [check for check in checks if check.id.startswith(FAMILIES) and (check.waived or not check.informational)]


def _grows(engine: Engine | None) -> bool:
    return any(check.verdict == "FAIL" for check in _deciding(engine))


def _growth_state(engine: Engine) -> str:
    """Return the state of the first check of growth that did not pass; PASS where all did."""
    states = [check.verdict for check in _deciding(engine) if check.id.startswith("growth.")]
    return next((state for state in states if state != "PASS"), "PASS" if states else "not judged")


def _growth(before: Engine | None, after: Engine | None) -> Iterator[dict[str, Any]]:
    """Compare every check of growth that decides in either run."""
    old, new = _checks(before), _checks(after)
    for name in dict.fromkeys(check.id for engine in (before, after) for check in _deciding(engine)):
        yield {**_pair(name, old.get(name), new.get(name)), **_change(old.get(name), new.get(name))}


def _pair(name: str, one: Check | None, other: Check | None) -> dict[str, Any]:
    unit = next((check.unit or None for check in (other, one) if check is not None), None)
    return {"id": name, "unit": unit, "from": _numbers(one), "to": _numbers(other)}


def _numbers(check: Check | None) -> dict[str, Any] | None:
    names = ("verdict", "estimate", "low", "high", "limit", "informational", "waived")
    numbers = {} if check is None else check.as_dict()
    return None if check is None else {name: numbers[name] for name in names if name in numbers}


def _change(one: Check | None, other: Check | None) -> dict[str, Any]:
    """Return how much growth changed, and whether certainly: intervals apart, and by a tenth of the larger one."""
    if one is None or other is None or one.unit != other.unit or one.estimate is None or other.estimate is None:
        return {"answer": "unknown"}
    change, size = other.estimate - one.estimate, max(abs(other.estimate), abs(one.estimate))
    answer = "same"
    if abs(change) >= LEAST_CHANGE * size and None not in (one.low, one.high, other.low, other.high):
        answer = "faster" if _is_above(other, one) else "slower" if _is_above(one, other) else "same"
    return {"answer": answer, "change": float(f"{change:.6g}")}


def _is_above(one: Check, other: Check) -> bool:
    return one.low is not None and other.high is not None and one.low > other.high


def _changed(before: Engine | None, after: Engine | None) -> Iterator[dict[str, Any]]:
    """Yield the other checks whose answer changed."""
    old, new = _checks(before), _checks(after)
    for name in dict.fromkeys([*old, *new]):
        one, other = old.get(name), new.get(name)
        if name.startswith(FAMILIES) or one is None or other is None or one.verdict == other.verdict:
            continue
        if not other.informational:
            yield _pair(name, one, other)


def _fails_newly(check: Mapping[str, Any]) -> bool:
    one, other = check["from"], check["to"]
    if other is None or other["verdict"] != "FAIL" or "informational" in other:
        return False
    return one is None or one["verdict"] != "FAIL"


def _fails_faster(check: Mapping[str, Any]) -> bool:
    """Return whether growth that failed before, and fails now, is faster for certain."""
    one, other = check["from"], check["to"]
    both = one is not None and other is not None and one["verdict"] == other["verdict"] == "FAIL"
    return both and "informational" not in other and check["answer"] == "faster"


def _unanswered(before: Engine | None, after: Engine | None) -> Iterator[str]:
    """Yield what the first run answered and the second does not."""
    if after is None:
        yield "did not run now"
        return
    old = _checks(before)
    for check in after.checks:
        was_open = check.id in old and old[check.id].verdict in OPEN
        if check.decides and check.verdict in OPEN and not was_open:
            yield f"{check.id} is {check.verdict} now"
