"""Everything known of a run, folded into one verdict. Pure: the same journal gives the same file, byte for byte."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from soakd.analysis.check import Check, round_number, worst
from soakd.analysis.classes import Class, classify, growth_words, limit_words
from soakd.analysis.evidence import check_evidence, check_run, clock_incidents, judge_controls
from soakd.analysis.growth_checks import Outlook, as_of, check_growth
from soakd.analysis.rules import LEAST_HOURS
from soakd.analysis.rundata import EngineData, RunData, describe
from soakd.analysis.service_checks import check_service, latency_windows
from soakd.model import State
from soakd.units import format_duration, format_rate

SCHEMA = "soakd.verdict/1"
DECIDING_ROLES = ("subject", "twin")


def make_verdict(
    run: RunData, meta: Mapping[str, Any], *, running: bool, artifacts: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """Judge a run.

    Args:
        run: what was recorded.
        meta: the journal's facts: run_id, environment, config_sha256.
        running: the run goes on; only what decides is judged, and nothing is final.
        artifacts: the files of the run, as `rundir.file_record` gives them.

    Returns:
        The content of `verdict.json`, schema `soakd.verdict/1`.
    """
    outlook = _outlook(run, running)
    checks = {engine.name: _check_engine(engine, outlook) for engine in run.engines}
    controls = judge_controls(run, checks)
    run_checks = list(check_run(run, controls, outlook))
    deciding = [e for e in run.engines if e.plan.config.role in DECIDING_ROLES]
    states = [c.verdict for e in deciding for c in checks[e.name] if c.decides] + [c.verdict for c in run_checks]
    state = worst([*states, *_ending(run, running)])
    classes = {e.name: classify(e, checks[e.name]) for e in run.engines}
    return {
        "schema": SCHEMA,
        "run_id": meta["run_id"],
        "verdict": state,
        "summary": _summary(state, run, checks, run_checks, classes, outlook),
        "visibility": list(_visibility(deciding, checks)),
        "run": _run(run, meta, outlook),
        "engines": [_engine(e, checks[e.name], classes[e.name]) for e in run.engines],
        "checks": [check.as_dict() for check in run_checks],
        "controls": controls,
        "observer": _observer(run),
        "incidents": _incidents(run),
        "faults": [],
        "exclusions": _exclusions(run),
        "waivers": [],
        "artifacts": list(artifacts),
    }


def _outlook(run: RunData, running: bool) -> Outlook:
    completed = run.end is not None and run.end.body.get("reason") == "completed"
    seen_s = run.plan.duration_s if completed else max(0.0, run.last_s)
    return Outlook(planned_s=run.plan.duration_s, seen_s=seen_s, final=not running)


def _check_engine(data: EngineData, outlook: Outlook) -> list[Check]:
    planned_s = data.plan.phases[-1].end_s
    counter = data.signal("operations_total")
    own_s = float(counter.t_s[-1]) if len(counter) else 0.0
    full = outlook.seen_s >= planned_s and own_s >= data.plan.load.end_s * 0.99
    own = Outlook(planned_s=planned_s, seen_s=planned_s if full else min(own_s, outlook.seen_s), final=outlook.final)
    overall = Outlook(planned_s=planned_s, seen_s=min(outlook.seen_s, planned_s), final=outlook.final)
    checks = list(check_growth(data, own, every_signal=outlook.final))
    checks += [as_of(outlook, check) for check in check_service(data)]
    checks += [as_of(outlook, check) for check in check_evidence(data, overall)]
    return checks


def _ending(run: RunData, running: bool) -> list[State]:
    """A run without a sealing record was killed, or goes on: incomplete either way."""
    return ["INCOMPLETE"] if running or run.end is None else []


def _engine(data: EngineData, checks: Sequence[Check], found: Class) -> dict[str, Any]:
    config = data.plan.config
    return {
        "name": config.name,
        "kind": config.kind,
        "role": config.role,
        "verdict": worst([check.verdict for check in checks if check.decides]),
        "class": found.name,
        "reason": found.sentence,
        "rate_per_second": round_number(data.plan.rate_per_s),
        "segments": [
            {
                "segment": life.segment, "pid": life.pid, "started_at": _time(life.start_wall_s),
                "ended_at": _time(life.end_wall_s), "ended_by": life.ended_by,
            }
            for life in data.lives
        ],
        "checks": [check.as_dict() for check in checks],
        "attribution": [],
    }  # fmt: skip


def _summary(
    state: State, run: RunData, checks: Mapping[str, Sequence[Check]], run_checks: Sequence[Check],
    classes: Mapping[str, Class], outlook: Outlook,
) -> str:  # fmt: skip
    """Write the one sentence that a reader takes away: the first finding of the state that was reached."""
    deciding = [e for e in run.engines if e.plan.config.role in DECIDING_ROLES]
    if state == "PASS":
        return f"no leak, crash or breach of a limit in {_names(deciding)} over {format_duration(run.plan.duration_s)}"
    if state == "INCOMPLETE":
        so_far = [s for e in deciding for c in checks[e.name] if (s := _finding(e, c, classes, so_far=True))]
        return "; ".join([f"{outlook.share:.0%} of the plan seen", *so_far[:2]])
    findings = [s for e in deciding for c in checks[e.name] if c.verdict == state and (s := _finding(e, c, classes))]
    findings += [f"{check.id}: {check.reason}" for check in run_checks if check.verdict == state]
    more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
    return (findings[0] if findings else f"no check explains {state}") + more


def _finding(data: EngineData, check: Check, classes: Mapping[str, Class], *, so_far: bool = False) -> str | None:
    """Write one check that did not pass, or None where it does not decide."""
    if not check.decides or (so_far and check.more.get("so_far") != "FAIL"):
        return None
    family, _, signal = check.id.partition(".")
    if family == "growth" and check.unit.startswith("bytes") and check.estimate is not None:
        words = growth_words(signal.removesuffix(".per_operation"), check)
        kind = classes[data.name].sentence.rpartition(": ")[2] if check.verdict == "FAIL" else check.reason
        return f"{data.name}: {words}, limit {limit_words(check)}" + (f": {kind}" if kind else "")
    if family == "growth" and check.verdict == "FAIL":
        return f"{data.name}: {classes[data.name].sentence}"
    number = "" if check.estimate is None else f" {check.estimate:g} {check.unit}, limit {check.limit:g}"
    return f"{data.name}: {check.id}{number}" + (f": {check.reason}" if check.reason else "")


def _visibility(deciding: Sequence[EngineData], checks: Mapping[str, Sequence[Check]]) -> Iterable[str]:
    """Say what a run of this length could have seen, and what it could not."""
    for data in deciding:
        leak = next((c for c in checks[data.name] if c.decides and c.id.startswith("growth.")), None)
        least = leak.more.get("minimum_detectable") if leak else None
        if leak is not None and least is not None:
            yield f"{data.name}: a leak of {_rate_words(least, leak, data)} would have been seen"
    longest_s = max((data.plan.load.duration_s for data in deciding), default=0.0)
    if longest_s < LEAST_HOURS * 3600:
        yield (
            f"not shown by {format_duration(longest_s)} of load: limits per hour (they need {LEAST_HOURS:g} h), "
            "growth per time rather than per operation, anything slower than the figures above"
        )
    else:
        yield "not shown: a leak that begins in the last two hours, or a cycle longer than half of the run"


def _rate_words(rate: float, check: Check, data: EngineData) -> str:
    if check.unit == "bytes/hour":
        return f"{format_rate(rate)} or more"
    per_hour = rate * data.plan.rate_per_s * 3600.0
    return f"{rate:.3g} B per operation ({format_rate(per_hour)} at {data.plan.rate_per_s:g} operations/s) or more"


def _run(run: RunData, meta: Mapping[str, Any], outlook: Outlook) -> dict[str, Any]:
    environment = meta.get("environment", {})
    start_s = run.origin.at.wall_s if run.origin else None
    end_s = run.end.at.wall_s if run.end else None
    coverages = [_coverage_ratio(engine) for engine in run.engines]
    return {
        "name": run.plan.config.run.name,
        "started_at": _time(start_s),
        "ended_at": _time(end_s),
        "ended_by": run.end.body.get("reason") if run.end else None,
        "planned_seconds": round(run.plan.duration_s, 3),
        "observed_seconds": round(outlook.seen_s, 3),
        "coverage_ratio": round_number(min(coverages), 4) if coverages else 0.0,
        "host": environment.get("host", {}),
        "versions": environment.get("versions", {}),
        "git_commit": environment.get("git_commit"),
        "config_sha256": meta.get("config_sha256"),
    }


def _coverage_ratio(data: EngineData) -> float:
    expected = data.plan.load.duration_s / data.plan.sample_every_s
    return min(1.0, len(data.in_load("operations_total")) / expected)


def _observer(run: RunData) -> dict[str, Any]:
    """Say what soakd itself took: processor share, memory, and what the null control shows of its growth."""
    if run.own is None:
        return {}
    cpu, resident = run.own.signal("cpu_s_total"), run.own.signal("rss_bytes")
    found: dict[str, Any] = {}
    if len(cpu) >= 2:
        found["cpu_ratio"] = round_number(float((cpu.y[-1] - cpu.y[0]) / (cpu.t_s[-1] - cpu.t_s[0])), 3)
    if len(resident):
        found["resident_bytes"] = float(resident.y[-1])
    return found


def _incidents(run: RunData) -> list[dict[str, Any]]:
    records = [record for engine in run.engines for record in engine.incidents] + run.incidents
    return describe(records) + list(clock_incidents(run.clocks))


def _exclusions(run: RunData) -> list[dict[str, Any]]:
    """List what was left out of the judgement, and why."""
    found = []
    for engine in run.engines:
        observed = [w for w in engine.latency if w.phase == "load" and w.observed]
        _, bound = latency_windows(engine)
        for windows, why in ((observed, "a forked child of soakd was alive"), (bound, "driver-bound")):
            if windows:
                found.append(
                    {
                        "engine": engine.name, "what": "latency", "why": why, "windows": len(windows),
                        "seconds": round(sum(w.to_s - w.from_s for w in windows), 3) if why == "driver-bound" else None,
                    }
                )  # fmt: skip
    return [{k: v for k, v in exclusion.items() if v is not None} for exclusion in found]


def _names(engines: Sequence[EngineData]) -> str:
    names = [engine.name for engine in engines]
    return ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else "".join(names)


def _time(wall_s: float | None) -> str | None:
    if wall_s is None:
        return None
    return datetime.fromtimestamp(wall_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def headline(verdict: Mapping[str, Any]) -> str:
    """Write a verdict as one line: "PASS: no leak ..."."""
    return f"{verdict['verdict']}: {verdict['summary']}"
