"""Combines everything into the verdict of a run. Pure: the same journal gives the same file, byte for byte."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from soakd.judge.checks.agreement import check_agreement
from soakd.judge.checks.behaviour import check_behaviour
from soakd.judge.checks.census import doubt_census
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
from soakd.judge.checks.service_levels import check_service, level_difference
from soakd.judge.checks.uncollected import excuse_garbage
from soakd.judge.conclude.classes import Class, classify
from soakd.judge.conclude.deciding_checks import check_judged, deciding_checks
from soakd.judge.conclude.exclusions import exclusions
from soakd.judge.conclude.run_error import within_run_error
from soakd.judge.conclude.server_growth import CALM, LEAK, classify_server, describe_server
from soakd.judge.conclude.sites import attribution, looks
from soakd.judge.conclude.summary import summary, visibility
from soakd.judge.conclude.waivers import apply_waivers, waived_words
from soakd.judge.story.rundata import EngineData, RunData, describe, rfc3339
from soakd.verdict.check import Check, round_number
from soakd.verdict.severity import State, worst
from soakd.verdict.types import Artifact, EngineVerdict, Incident, RunFacts, Verdict

SAME_LOOK_S = 30.0


def make_verdict(
    run: RunData, meta: Mapping[str, Any], *, running: bool, artifacts: Sequence[Artifact] = ()
) -> Verdict:
    """Judge a run.

    Args:
        run: what was recorded.
        meta: the journal's facts: run_id, environment, config_sha256.
        running: the run is live; only signals that decide are judged, and nothing is final.
        artifacts: the files of the run.
    """
    outlook = _outlook(run, running)
    memory = memory_available(run)
    judged = {engine.name: _check_engine(engine, run, outlook, memory) for engine in run.engines}
    judged = within_run_error(run, without_own_share(run, judged))
    waived, fates, known = apply_waivers(run, judged)
    checks, unwaived = _by_now(run, outlook, waived), _by_now(run, outlook, judged)
    controls = judge_controls(run, checks)
    own = as_of(outlook, check_observer(run))
    run_checks = [*check_judged(run), check_controls(controls, outlook), *check_run_evidence(run, outlook), own]
    decided = [c.verdict for engine in run.engines for c in deciding_checks(engine, checks)]
    state = worst([*decided, *(c.verdict for c in run_checks if not c.informational), *_ending(run, running)])
    clients = {e.name: classify(e, unwaived[e.name]) for e in run.engines}
    servers = {e.name: classify_server(e, clients[e.name], unwaived[e.name]) for e in run.engines}
    classes = {name: _of_both(client, servers[name]) for name, client in clients.items()}
    taken = observer(run, own, checks)
    return Verdict(
        run_id=meta["run_id"],
        verdict=state,
        summary=summary(state, run, checks, run_checks, classes, outlook, waived=waived_words(fates)),
        visibility=tuple(visibility(run, checks, harness_words(taken))),
        run=_run(run, meta, outlook),
        engines=tuple(_engine(e, checks[e.name], classes[e.name], servers[e.name], known) for e in run.engines),
        checks=tuple(check.of_role(None) for check in run_checks),
        comparisons=() if running else tuple(comparisons(run, checks)),
        controls=controls,
        observer=taken,
        incidents=tuple(_incidents(run)),
        faults=tuple(describe_faults(run)),
        exclusions=tuple(exclusions(run)),
        waivers=tuple(fates),
        artifacts=tuple(artifacts),
    )


def _outlook(run: RunData, running: bool) -> Outlook:
    completed = run.end is not None and run.end.reason == "completed"
    seen_s = run.plan.duration_s if completed else max(0.0, run.last_s)
    return Outlook(planned_s=run.plan.duration_s, seen_s=seen_s, final=not running)


def _by_now(run: RunData, outlook: Outlook, judged: Mapping[str, Sequence[Check]]) -> dict[str, list[Check]]:
    """Return the checks of every engine as of now."""
    own = {engine.name: _own_outlook(engine, outlook) for engine in run.engines}
    return {name: [as_of(outlook, check, own=own[name]) for check in checks] for name, checks in judged.items()}


def _own_outlook(data: EngineData, outlook: Outlook) -> Outlook:
    """Return how much of its own plan an engine has completed."""
    planned_s = data.plan.phases[-1].end_s
    counter = data.signal("operations_total")
    own_s = float(counter.t_s[-1]) if len(counter) else 0.0
    full = outlook.seen_s >= planned_s and own_s >= data.plan.load.end_s * 0.99
    return Outlook(planned_s=planned_s, seen_s=planned_s if full else min(own_s, outlook.seen_s), final=outlook.final)


def _check_engine(data: EngineData, run: RunData, outlook: Outlook, memory: float | None) -> list[Check]:
    """Judge an engine as if the run had ended."""
    planned_s = data.plan.phases[-1].end_s
    overall = Outlook(planned_s=planned_s, seen_s=min(outlook.seen_s, planned_s), final=outlook.final)
    room = None if outlook.final else _room(data, memory)
    growth = doubt_census(data, list(check_growth(data, every_signal=outlook.final, room=room)))
    checks = [
        *excuse_garbage(data, growth),
        *check_service(data),
        *check_behaviour(data),
        *check_evidence(data, overall),
        *check_agreement(data),
        *check_server(data, overall),
        *check_recovery(data, overall, decides=data.plan.config.judges_server),
    ]
    return [*tell_reloads(data, checks), *(check_faults(data, run) if run.faults else ())]


def _room(data: EngineData, memory: float | None) -> Room:
    """Return how much the engine may still grow."""
    limit, gain = data.plan.config.limits.total_growth_bytes, level_difference(data.in_load(data.leak_signal))
    return Room(total_growth=None if limit is None else limit - max(0.0, gain.gained if gain else 0.0), memory=memory)


def _ending(run: RunData, running: bool) -> list[State]:
    """Return how the run ended: without a sealing record it was killed or is live, and is INCOMPLETE."""
    return ["INCOMPLETE"] if running or run.end is None else []


def _of_both(client: Class, server: Class | None) -> Class:
    """Return the server's class if it leaks and the client is flat, otherwise the engine's."""
    return server if server is not None and server.name == LEAK and client.name in CALM else client


def _engine(
    data: EngineData, checks: Sequence[Check], found: Class, server: Class | None,
    known: Mapping[tuple[str, str], str],
) -> EngineVerdict:  # fmt: skip
    config = data.plan.config
    described = describe_server(data, server, checks)
    return EngineVerdict(
        name=config.name,
        kind=config.kind,
        role=config.role,
        verdict=worst([check.verdict for check in checks if not check.informational]),
        growth_class=found.name,
        reason=found.sentence,
        rate_per_second=round_number(data.plan.rate_per_s),
        segments=tuple(life.entry() for life in data.lives),
        servers=() if described is None else (described,),
        checks=tuple(check.of_role(config.role) for check in checks),
        attribution=tuple(
            dataclasses.replace(site, known=known.get((data.name, site.fingerprint)))
            for site in attribution(data, checks)
        ),
        looks=tuple(looks(data)),
    )


def _run(run: RunData, meta: Mapping[str, Any], outlook: Outlook) -> RunFacts:
    environment = meta.get("environment", {})
    coverages = [_coverage_ratio(engine) for engine in run.engines]
    return RunFacts(
        name=run.plan.config.run.name,
        started_at=rfc3339(run.origin.at.wall_s if run.origin else None),
        ended_at=rfc3339(run.end.at.wall_s if run.end else None),
        ended_by=run.end.reason if run.end else None,
        planned_seconds=round(run.plan.duration_s, 3),
        observed_seconds=round(outlook.seen_s, 3),
        coverage_ratio=round_number(min(coverages), 4) if coverages else 0.0,
        host=environment.get("host", {}),
        versions=environment.get("versions", {}),
        git_commit=environment.get("git_commit"),
        config_sha256=meta.get("config_sha256"),
    )


def _coverage_ratio(data: EngineData) -> float:
    expected = data.plan.load.duration_s / data.plan.sample_every_s
    return min(1.0, len(data.in_load("operations_total")) / expected)


def _incidents(run: RunData) -> list[Incident]:
    records = [record for engine in run.engines for record in engine.incidents] + run.incidents
    told = describe(records)
    return told + [found for found in clock_incidents(run.clocks) if not _is_told(found, told)]


def _is_told(found: Incident, told: Sequence[Incident]) -> bool:
    """Return whether the daemon reported a step of the clocks itself, at the same reading or the next."""
    return any(
        incident.what == found.what and abs(incident.at_wall_s - found.at_wall_s) <= SAME_LOOK_S
        for incident in told
        if incident.engine is None
    )
