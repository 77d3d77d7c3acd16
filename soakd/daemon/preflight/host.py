"""What would stop or disturb the run on this host: looked at, never changed."""

import contextlib
import ipaddress
import os
import resource
import shutil
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from soakd.daemon.host.preparation import unprepared
from soakd.daemon.preflight.finding import Finding
from soakd.procs.proc import memory_reserve_bytes
from soakd.setup.engine_kinds import KINDS
from soakd.setup.plan import EnginePlan, Plan
from soakd.units import format_bytes

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
"""Of the daemon: its own files, connections to its port, pipes to each worker. Engines need their own."""


def check_host(plan: Plan, run_path: Path) -> Iterator[Finding]:
    """Look at the host: folder, disk, memory, processor, port. Nothing is started or left behind."""
    yield from check_folder(plan, run_path)
    yield from check_memory(plan)
    yield from _check_descriptors(plan)
    yield from _check_processor(plan)
    yield from check_port(plan)
    yield from _check_notify(plan)


def check_preparation(*, watch: bool) -> Iterator[Finding]:
    """Look at how the host is prepared: these findings are warnings.

    Args:
        watch: other programs too, for half a second.
    """
    for text in unprepared() if watch else unprepared(heavy=tuple):
        yield Finding("warning", text)


def check_folder(plan: Plan, run_path: Path, left_ratio: float = 1.0) -> Iterator[Finding]:
    """Look at the run's folder, and at the disk below it."""
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


def _private_servers(plan: Plan) -> list[EnginePlan]:
    """Return the engines whose server soakd starts."""
    return [e for e in plan.engines if KINDS[e.config.kind].server is not None and "url" not in e.options]


def expected_journal_bytes(plan: Plan) -> float:
    """Estimate the journal's size: samples of engines and servers, latencies, heap snapshots."""
    run, engines = plan.config.run, len(plan.engines)
    samples = (
        plan.duration_s / run.sample_every_s * (SAMPLES_BYTES * engines + SERVER_BYTES * len(_private_servers(plan)))
    )
    latencies = plan.duration_s / plan.latency_every_s * LATENCY_BYTES * engines
    snapshots = plan.duration_s / run.snapshot_every_s * SNAPSHOT_BYTES * engines if run.snapshot_every_s else 0.0
    return samples + latencies + snapshots


def check_memory(plan: Plan) -> Iterator[Finding]:
    """Look at the memory that is available."""
    servers = len(_private_servers(plan))
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


def check_port(plan: Plan) -> Iterator[Finding]:
    """Look at the address that is to be served."""
    http = plan.config.http
    if not _is_loopback(http.host):
        yield Finding(
            "warning",
            f"http: {http.host} can be reached from other hosts, and anyone there can read the metrics and the run: "
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
    """Look at the receivers of notices; send nothing."""
    notify = plan.config.notify
    if notify.command and shutil.which(notify.command[0]) is None:
        yield Finding("error", f"notify: command: {notify.command[0]}: not a program that can be run")
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
