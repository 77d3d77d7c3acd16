"""Everything known of a run, folded into one verdict. Pure: the same journal gives the same file, byte for byte."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from soakd.judge.checks.agreement import check_agreement
from soakd.judge.checks.comparisons import comparisons
from soakd.judge.checks.controls import check_controls, judge_controls
from soakd.judge.checks.evidence import check_evidence
from soakd.judge.checks.evidence_run import check_run_evidence, clock_incidents
from soakd.judge.checks.faults import check_faults, describe_faults
from soakd.judge.checks.growth import Room, check_growth
from soakd.judge.checks.observer import check_observer, harness_words, memory_available, observer
from soakd.judge.checks.outlook import Outlook, as_of
from soakd.judge.checks.own_share import without_own_share
from soakd.judge.checks.recovery import check_recovery
from soakd.judge.checks.reloads import tell_reloads
from soakd.judge.checks.server import check_server
from soakd.judge.checks.service import check_service, level_difference
from soakd.judge.checks.uncollected import excuse_garbage
from soakd.judge.conclude.classes import Class, classify
from soakd.judge.conclude.deciding_checks import check_judged, deciding_checks
from soakd.judge.conclude.exclusions import exclusions
from soakd.judge.conclude.server_growth import CALM, LEAK, classify_server, describe_server
from soakd.judge.conclude.sites import attribution, looks
from soakd.judge.conclude.summary import summary, visibility
from soakd.judge.conclude.waivers import apply_waivers, waived_words
from soakd.judge.story.rundata import EngineData, RunData, describe, rfc3339
from soakd.verdict.check import Check, round_number
from soakd.verdict.severity import State, worst
from soakd.wire.sites import encode

SCHEMA = "soakd.verdict/1"
SAME_LOOK_S = 30.0


def make_verdict(
    run: RunData, meta: Mapping[str, Any], *, running: bool, artifacts: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """Judge a run.

    Args:
        run: what was recorded.
        meta: the journal's facts: run_id, environment, config_sha256.
        running: the run goes on; only what decides is judged, and nothing is final.
        artifacts: the files of the run, as `run_folder.file_record` gives them.

    Returns:
        The content of `verdict.json`, schema `soakd.verdict/1`.
    """
    outlook = _outlook(run, running)
    memory = memory_available(run)
    checks = {engine.name: _check_engine(engine, outlook, memory) for engine in run.engines}
    for engine in run.engines if run.faults else ():
        checks[engine.name] += [as_of(outlook, check) for check in check_faults(engine, run)]
    checks = without_own_share(run, checks)
    unwaived, (checks, fates, known) = checks, apply_waivers(run, checks)
    controls = judge_controls(run, checks)
    own = check_observer(run, outlook)
    run_checks = [*check_judged(run), check_controls(controls, outlook), *check_run_evidence(run, outlook), own]
    decided = [c.verdict for engine in run.engines for c in deciding_checks(engine, checks)]
    state = worst([*decided, *(c.verdict for c in run_checks if c.decides), *_ending(run, running)])
    clients = {e.name: classify(e, unwaived[e.name]) for e in run.engines}
    servers = {e.name: classify_server(e, clients[e.name], unwaived[e.name]) for e in run.engines}
    classes = {name: _of_both(client, servers[name]) for name, client in clients.items()}
    taken = observer(run, own, checks)
    return {
        "schema": SCHEMA,
        "run_id": meta["run_id"],
        "verdict": state,
        "summary": summary(state, run, checks, run_checks, classes, outlook, waived=waived_words(fates)),
        "visibility": list(visibility(run, checks, harness_words(taken))),
        "run": _run(run, meta, outlook),
        "engines": [_engine(e, checks[e.name], classes[e.name], servers[e.name], known) for e in run.engines],
        "checks": [check.as_dict(None) for check in run_checks],
        **({} if running else _compared(run, checks)),
        "controls": controls,
        "observer": taken,
        "incidents": _incidents(run),
        "faults": describe_faults(run),
        "exclusions": exclusions(run),
        "waivers": fates,
        "artifacts": list(artifacts),
    }


def _outlook(run: RunData, running: bool) -> Outlook:
    completed = run.end is not None and run.end.body.get("reason") == "completed"
    seen_s = run.plan.duration_s if completed else max(0.0, run.last_s)
    return Outlook(planned_s=run.plan.duration_s, seen_s=seen_s, final=not running)


def _check_engine(data: EngineData, outlook: Outlook, memory: float | None) -> list[Check]:
    planned_s = data.plan.phases[-1].end_s
    counter = data.signal("operations_total")
    own_s = float(counter.t_s[-1]) if len(counter) else 0.0
    full = outlook.seen_s >= planned_s and own_s >= data.plan.load.end_s * 0.99
    own = Outlook(planned_s=planned_s, seen_s=planned_s if full else min(own_s, outlook.seen_s), final=outlook.final)
    overall = Outlook(planned_s=planned_s, seen_s=min(outlook.seen_s, planned_s), final=outlook.final)
    room = None if outlook.final else _room(data, memory)
    checks = excuse_garbage(data, list(check_growth(data, own, every_signal=outlook.final, room=room)))
    checks += [as_of(outlook, check) for check in check_service(data)]
    checks += [as_of(outlook, check) for check in check_evidence(data, overall)]
    agreement = check_agreement(data)
    checks += [as_of(outlook, agreement)] if agreement is not None else []
    checks += check_server(data, own, overall)
    checks += [as_of(outlook, c) for c in check_recovery(data, overall, decides=data.plan.config.judges_server)]
    return list(tell_reloads(data, checks))


def _room(data: EngineData, memory: float | None) -> Room:
    """Return what the engine may still grow."""
    limit, gain = data.plan.config.limits.total_growth_bytes, level_difference(data.in_load(data.leak_signal))
    return Room(total_growth=None if limit is None else limit - max(0.0, gain.gained if gain else 0.0), memory=memory)


def _compared(run: RunData, checks: Mapping[str, Sequence[Check]]) -> dict[str, Any]:
    """Compare where there is something to compare."""
    found = comparisons(run, checks)
    return {"comparisons": found} if found else {}


def _ending(run: RunData, running: bool) -> list[State]:
    """A run without a sealing record was killed, or goes on: incomplete either way."""
    return ["INCOMPLETE"] if running or run.end is None else []


def _of_both(client: Class, server: Class | None) -> Class:
    """Name an engine by its server where that leaks and the client is flat."""
    return server if server is not None and server.name == LEAK and client.name in CALM else client


def _engine(
    data: EngineData, checks: Sequence[Check], found: Class, server: Class | None,
    known: Mapping[tuple[str, str], str],
) -> dict[str, Any]:  # fmt: skip
    config = data.plan.config
    servers = describe_server(data, server, checks)
    return {
        "name": config.name,
        "kind": config.kind,
        "role": config.role,
        "verdict": worst([check.verdict for check in checks if check.decides]),
        "class": found.name,
        "reason": found.sentence,
        "rate_per_second": round_number(data.plan.rate_per_s),
        "segments": [life.as_dict() for life in data.lives],
        **({"servers": [servers]} if servers else {}),
        "checks": [check.as_dict(config.role) for check in checks],
        "attribution": [
            encode(dataclasses.replace(site, known=known.get((data.name, site.fingerprint))))
            for site in attribution(data, checks)
        ],
        **({"looks": ended} if (ended := looks(data)) else {}),
    }  # fmt: skip


def _run(run: RunData, meta: Mapping[str, Any], outlook: Outlook) -> dict[str, Any]:
    environment = meta.get("environment", {})
    start_s = run.origin.at.wall_s if run.origin else None
    end_s = run.end.at.wall_s if run.end else None
    coverages = [_coverage_ratio(engine) for engine in run.engines]
    return {
        "name": run.plan.config.run.name,
        "started_at": rfc3339(start_s),
        "ended_at": rfc3339(end_s),
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


def _incidents(run: RunData) -> list[dict[str, Any]]:
    records = [record for engine in run.engines for record in engine.incidents] + run.incidents
    told = describe(records)
    return told + [found for found in clock_incidents(run.clocks) if not _is_told(found, told)]


def _is_told(found: Mapping[str, Any], told: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether the daemon has noticed a step of the clocks itself, at the same look or the next."""
    return any(
        incident["what"] == found["what"] and abs(incident["at_wall_s"] - found["at_wall_s"]) <= SAME_LOOK_S
        for incident in told
        if not incident["engine"]
    )
