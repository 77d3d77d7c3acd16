"""Everything that would stop the run, found before it starts, each with how to mend it."""

import asyncio
import contextlib
import dataclasses
import ipaddress
import math
import os
import resource
import shutil
import socket
import time
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import psutil

from soakd.analysis.rules import LEAST_HOURS, LEAST_OPERATIONS, RESOLUTION_BYTES
from soakd.backends import check, private
from soakd.faultplan import touched
from soakd.host.preparation import unprepared
from soakd.interpreters import import_folder, refusals, worker_environment
from soakd.kinds import KINDS
from soakd.lastwords import describe_status
from soakd.plan import EnginePlan, Plan, worker_spec
from soakd.records import Record
from soakd.supervisor import memory_reserve_bytes
from soakd.units import format_bytes, format_count, format_duration, format_rate
from soakd.workers import Worker, last_line

CPU_SHARE = 0.60
"""A soak that takes more of the host than this measures its own queueing."""
DRIVER_S = {"sync": 13e-6, "async": 60e-6}
ENGINE_S = {
    "policy.regorus": 60e-6, "cache.native": 1e-6, "cache.python": 3e-6, "authorize": 15e-6, "control.null": 0.0,
    "control.leak": 3e-6, "policy.opa": 900e-6, "cache.redis": 400e-6,
}  # fmt: skip
"""Processor seconds an operation, rounded up from `make bench`, at both ends where there are two.

Somebody's own engine is measured, not guessed.
"""
MISSES = 0.3
"""Share of the operations of `authorize` that reach a policy, roundly."""
SAMPLES_BYTES, SERVER_BYTES, LATENCY_BYTES, SNAPSHOT_BYTES = 420, 180, 3100, 3300
"""Of the journal: both samples of an engine, one of its server, a window's latencies, a heap snapshot. Measured on an
hour and a half of configs/release.toml, on a busy host: they are not much more anywhere."""
WORKER_BYTES = 60e6
OWN_DESCRIPTORS, DESCRIPTORS_AN_ENGINE = 240, 8
"""Of the daemon: its own files, the visitors of its port, pipes to each worker. Engines bring their own needs."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that preflight noticed."""

    level: Literal["error", "warning", "note"]
    text: str


def check_host(plan: Plan, run_path: Path) -> Iterator[Finding]:
    """Look at the host: folder, disk, memory, processor, port. Nothing is started or left behind."""
    yield from _check_folder(plan, run_path)
    yield from _check_memory(plan)
    yield from _check_descriptors(plan)
    yield from _check_processor(plan)
    yield from _check_port(plan)
    yield from _check_notify(plan)


def check_preparation() -> Iterator[Finding]:
    """Look at how the host is prepared: what disturbs a soak stops none."""
    for text in unprepared():
        yield Finding("warning", text)


async def check_again(plan: Plan, run_path: Path, left_ratio: float) -> AsyncIterator[Finding]:
    """Look at what may have changed since a run began, before it is resumed: disk, memory, port, programs.

    Engines and servers are not started: that would lengthen the gap. A server at a `url` that is silent stops no run.

    Args:
        plan: the run's own.
        run_path: its folder.
        left_ratio: the share of the plan that is still to come.
    """
    for finding in (*_check_folder(plan, run_path, left_ratio), *_check_memory(plan), *_check_port(plan)):
        yield finding
    wrong = {name: f"python: {why}" for name, why in (await refusals(plan)).items()}
    for name, what in {**await check.faults(_without(plan, wrong)), **wrong}.items():
        mine = next(engine for engine in plan.engines if engine.config.name == name)
        yield Finding("warning" if "url" in mine.options else "error", f'engine "{name}": {what}')


async def check_engines(plan: Plan) -> AsyncIterator[Finding]:
    """Start every server and every engine, each in a process of its own as the run will, and let them go again."""
    wrong = {name: f"python: {why}" for name, why in (await refusals(plan)).items()}
    wrong |= await check.faults(_without(plan, wrong))
    async with check.trial(_without(plan, wrong)) as (addresses, more):
        wrong |= more
        able = [engine for engine in plan.engines if not _names(engine) & wrong.keys()]
        with import_folder() as imports:
            found = await asyncio.gather(*(_try_engine(plan, engine, imports, addresses) for engine in able))
        started = [engine for engine, finding in zip(able, found, strict=True) if finding is None]
        wrong |= await check.missing_rules(started, addresses)
    for name, what in wrong.items():
        yield Finding("error", f'engine "{name}": {what}')
    for finding in found:
        if finding is not None:
            yield finding


def _without(plan: Plan, names: Collection[str]) -> Plan:
    return dataclasses.replace(plan, engines=tuple(e for e in plan.engines if e.config.name not in names))


def _names(engine: EnginePlan) -> set[str]:
    """An engine's own name, and those of the engines that it is made of."""
    options = KINDS[engine.config.kind].options
    parts = {
        str(engine.options[name]) for name, info in options.items() if info.type == "engine" and name in engine.options
    }
    return parts | {engine.config.name}


def outlook(plan: Plan) -> Iterator[Finding]:
    """Say from when on a leak at the limit becomes visible, and what a run of this length cannot show."""
    yield from _nothing_judged(plan)
    yield from _controls_off(plan)
    yield from _waivers(plan, time.time() + plan.duration_s)
    for engine in plan.engines:
        if engine.config.is_judged:
            yield Finding("note", f"{engine.config.name}: {_visible_from(engine, _free_of_faults_s(plan, engine))}")


def _nothing_judged(plan: Plan) -> Iterator[Finding]:
    if not any(engine.config.is_judged for engine in plan.engines):
        yield Finding("warning", 'no subject would be judged: INCONCLUSIVE; give an engine role = "subject"')


def _controls_off(plan: Plan) -> Iterator[Finding]:
    for name in plan.config.run.controls_off:
        yield Finding("warning", f"controls_off: without the {name} control nothing shows that soakd works: INVALID")


def _waivers(plan: Plan, ends_s: float) -> Iterator[Finding]:
    """Say of a waiver that it will not hold: it lapses before the end, or its engine is not there."""
    last = datetime.fromtimestamp(ends_s, UTC).date().isoformat()
    names = [engine.config.name for engine in plan.engines]
    for waiver in plan.config.waivers:
        if waiver.expires < last:
            text = f"expires on {waiver.expires}, and the run ends on {last}: it will not hold"
            yield Finding("warning", f'waiver "{waiver.name}": {text}')
        elif waiver.engine is not None and waiver.engine not in names:
            yield Finding("note", f'waiver "{waiver.name}": no engine "{waiver.engine}" in this run')
        else:
            yield Finding("note", f'waiver "{waiver.name}": holds until {waiver.expires}: {waiver.reason}')


def _free_of_faults_s(plan: Plan, engine: EnginePlan) -> float:
    """Return how much of an engine's load phase no fault that is planned takes, at least; recovery comes besides."""
    configs = [one.config for one in plan.engines]
    mine = [fault for fault in plan.faults if engine.config.name in touched(configs, fault.target, fault.on)]
    return engine.load.duration_s - sum(fault.duration_s for fault in mine)


def _visible_from(engine: EnginePlan, free_s: float) -> str:
    limits, resolution = engine.config.limits, RESOLUTION_BYTES["reachable_bytes"]
    per_operation, hourly = limits.growth_per_operation_bytes, limits.growth_rate_bytes_per_h
    load = format_duration(engine.load.duration_s)
    if per_operation is not None:
        operations = max(LEAST_OPERATIONS, resolution / per_operation)
        needed_s = operations / engine.rate_per_s
        seen = "is visible" if needed_s <= engine.load.duration_s else "stays invisible"
        return (
            f"a leak of {per_operation:g} B per operation {seen}: it takes {format_count(math.ceil(operations))} "
            f"operations, {format_duration(needed_s)} at {engine.rate_per_s:g}/s; the load phase is {load}"
        )
    hours = max(LEAST_HOURS, resolution / (hourly or 1e6))
    seen = "is visible" if hours * 3600 <= free_s else "cannot be passed or failed"
    besides = f", {format_duration(free_s)} of it free of faults" if free_s < engine.load.duration_s else ""
    takes = f"it takes {hours:.3g} h of load; the load phase is {load}{besides}"
    return f"a leak of {format_rate(hourly or 1e6)} {seen}: {takes}"


def _check_folder(plan: Plan, run_path: Path, left_ratio: float = 1.0) -> Iterator[Finding]:
    try:
        folder = next(path for path in (run_path, *run_path.absolute().parents) if path.exists())
    except OSError as error:  # a name that is too long
        yield Finding("error", f"{run_path}: cannot be a folder: {error.strerror}: choose another one with --run-dir")
        return
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        yield Finding("error", f"{folder}: not a folder that can be written: choose another one with --run-dir")
        return
    needed, free = expected_journal_bytes(plan) * left_ratio * 1.5 + 10e6, shutil.disk_usage(folder).free
    if free < needed:
        yield Finding(
            "error",
            f"{folder}: {format_bytes(free)} free, about {format_bytes(needed)} needed: free some, or --run-dir",
        )


def expected_journal_bytes(plan: Plan) -> float:
    """Estimate the journal's size: samples of engines and servers, latencies, heap snapshots."""
    run, engines = plan.config.run, len(plan.engines)
    samples = (
        plan.duration_s / run.sample_every_s * (SAMPLES_BYTES * engines + SERVER_BYTES * len(private(plan.engines)))
    )
    latencies = plan.duration_s / plan.latency_every_s * LATENCY_BYTES * engines
    snapshots = plan.duration_s / run.snapshot_every_s * SNAPSHOT_BYTES * engines if run.snapshot_every_s else 0.0
    return samples + latencies + snapshots


def _check_memory(plan: Plan) -> Iterator[Finding]:
    servers = len(private(plan.engines))
    needed, free = WORKER_BYTES * (len(plan.engines) + servers) + 400e6, psutil.virtual_memory().available
    reserve = memory_reserve_bytes(plan)
    if free < reserve:
        yield Finding(
            "error",
            f"memory: {format_bytes(free)} available, {format_bytes(reserve)} are kept for the host and the run would "
            "end at once: stop other programs, or lower run.memory_reserve",
        )
    elif free < needed + reserve:
        yield Finding(
            "warning",
            f"memory: {format_bytes(free)} available, about {format_bytes(needed + reserve)} wanted: "
            "stop other programs",
        )


def _check_descriptors(plan: Plan) -> Iterator[Finding]:
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    needed = OWN_DESCRIPTORS + DESCRIPTORS_AN_ENGINE * len(plan.engines)
    if allowed != resource.RLIM_INFINITY and allowed < needed:
        yield Finding("error", f"file descriptors: {allowed} allowed, {needed} needed: ulimit -n {needed} or more")


def _check_processor(plan: Plan) -> Iterator[Finding]:
    cores = len(os.sched_getaffinity(0))
    kinds = {engine.config.name: engine.config.kind for engine in plan.engines}
    share = sum(e.rate_per_s * (DRIVER_S["sync"] + _operation_s(e, kinds)) for e in plan.engines) / cores
    if share > CPU_SHARE:
        yield Finding(
            "warning",
            f"processor: the load wants about {share:.0%} of {cores} cores, {CPU_SHARE:.0%} is the most that leaves "
            f"latencies meaningful: lower the rates, or use --only",
        )


def _operation_s(engine: EnginePlan, kinds: Mapping[str, str]) -> float:
    """Guess the processor seconds of an operation; of `authorize`, on the path that most of its keys take."""
    if engine.config.kind == "authorize":
        old = "python_" if engine.options.get("rollout_ratio", 1.0) < 0.5 else ""
        cache, policy = (
            ENGINE_S.get(kinds.get(engine.options.get(old + part, ""), ""), 0.0) for part in ("cache", "policy")
        )
        return ENGINE_S["authorize"] + cache * (1 + MISSES) + policy * MISSES
    return ENGINE_S.get(engine.config.kind, 20e-6)


def _check_port(plan: Plan) -> Iterator[Finding]:
    http = plan.config.http
    if not _is_loopback(http.host):
        yield Finding(
            "warning",
            f"http: {http.host} is reached from other hosts, and everybody there may read the metrics and the run: "
            "keep http.host at 127.0.0.1, or put a firewall before it",
        )
    try:
        family = socket.AF_INET6 if ":" in http.host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((http.host, http.port))
    except (OSError, OverflowError) as error:
        yield Finding(
            "error",
            f"http: {http.host}:{http.port} cannot be bound: {getattr(error, 'strerror', error)}: choose another "
            "http.port (0 = any free one)",
        )


def _check_notify(plan: Plan) -> Iterator[Finding]:
    """Look at who is to be told; nobody is told of anything."""
    notify = plan.config.notify
    if notify.command and shutil.which(notify.command[0]) is None:
        yield Finding("error", f"notify: command: {notify.command[0]}: no program of that name that may be run")
    if notify.webhook is not None:
        address = urlsplit(notify.webhook)
        if address.scheme.lower() == "http" and not _is_loopback(address.hostname or ""):
            yield Finding(
                "warning", "notify: webhook: http:// sends its address and every event unencrypted: use https://"
            )


def _is_loopback(host: str) -> bool:
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


async def _try_engine(plan: Plan, engine: EnginePlan, imports: Path, addresses: Mapping[str, str]) -> Finding | None:
    name, python, within_s = engine.config.name, engine.config.python, plan.config.supervision.start_within_s
    worker = Worker(worker_spec(plan, engine, 0, (), addresses), _ignore)
    try:
        worker.start(python=python, environment=worker_environment(python, imports))
    except OSError as error:
        return Finding("error", f'engine "{name}": cannot start {error.filename}: {error.strerror}')
    ended = asyncio.create_task(worker.ended())
    first: set[asyncio.Future[Any]] = {ended, worker.hello}
    try:
        await asyncio.wait(first, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
        if worker.hello.done():
            return None
        if not ended.done():
            return Finding("error", f'engine "{name}": did not start within {within_s:g}s')
        how = f"{engine.config.python or 'its worker'} ended at once ({describe_status(ended.result())})"
        return Finding("error", f'engine "{name}": {worker.start_failure or how + last_line(worker)}')
    finally:
        worker.close()
        try:
            await asyncio.wait_for(asyncio.shield(ended), 2.0)
        except TimeoutError:
            worker.kill("preflight is over")
            await ended


def _ignore(record: Record) -> None:
    """Preflight keeps no records."""
