"""What the final judgement of a long run costs.

Makes up the journal of a run (24 h, 8 engines and both controls, two of them with a server, a sample every 10 s, limits
per hour and per operation, so that every signal is judged both ways) and judges it in a fresh process.
"""

import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from soakd import config, histogram, rundir
from soakd.journal import Journal
from soakd.model import LOADED_PHASES
from soakd.plan import EnginePlan, Plan, make_plan
from soakd.planfile import plan_as_dict
from soakd.records import Kind, Record, Stamp

TITLE = "the final judgement of a day"

PLAN = """
[run]
name = "bench-judge"
duration = "{hours}h"
sample_every = "10s"
[limits]
growth_rate = "1MB/h"
growth_per_operation = "16B"
"""
ENGINE = """
[[engine]]
name = "engine-{i}"
{kind}
rate = 200
"""
KINDS = (*['kind = "python"\nfactory = "package.module:make"'] * 4, 'kind = "cache.native"', 'kind = "cache.redis"')
"""The last two in turn: two subjects, and two rivals with servers that are compared with both."""
MONO_S, WALL_S = 5000.0, 1.8e9
BATCH = 20_000


def plan_of(hours: float, engines: int) -> Plan:
    kinds = [KINDS[i if i < 4 else 4 + i % 2] for i in range(engines)]
    text = PLAN.format(hours=hours) + "".join(ENGINE.format(i=i, kind=kind) for i, kind in enumerate(kinds))
    return make_plan(config.parse(text, source="bench.toml", folder=Path()))


def record(kind: Kind, engine: str, t_s: float, body: dict[str, Any]) -> Record:
    return Record(kind=kind, engine=engine, segment=0, at=Stamp(WALL_S + t_s, MONO_S + t_s, MONO_S + t_s), body=body)


def records(plan: Plan) -> Iterator[Record]:
    yield record("phase", "", 0.0, {"name": "origin", "mono_s": MONO_S})
    latency = packed()
    for engine in plan.engines:
        yield from engine_records(plan, engine, latency)
    for i in range(int(plan.duration_s / 10)):
        body = {"source": "outside", "rss_bytes": 4e7, "rss_anon_bytes": 3e7 + 4096 * (i % 7), "cpu_s_total": i * 0.01}
        yield record("sample", "", 10.0 * i, body)
    yield record("phase", "", plan.duration_s, {"name": "end", "reason": "completed"})


def engine_records(plan: Plan, engine: EnginePlan, latency: str) -> Iterator[Record]:
    name, noise = engine.config.name, random.Random(engine.config.name)
    yield record("hello", name, -1.0, {"pid": 7})
    if engine.config.kind == "cache.redis":
        yield record("server", name, -1.0, {"server": "redis", "pid": 8, "backend": "private", "read_from": "proc"})
    collect_s, latency_s = 0.0, plan.latency_every_s
    for i in range(int(plan.duration_s / 10)):
        t_s = 10.0 * i
        phase = next((p for p in engine.phases if p.start_s <= t_s < p.end_s), engine.phases[-1])
        done = [max(0.0, min(t_s, p.end_s) - p.start_s) for p in engine.phases if p.name in LOADED_PHASES]
        leak = (0.0, 2e6 / 3600)[name.endswith(("1", "leak"))] * t_s + 5e6 * (1 - 2.718 ** (-t_s / 3600))
        live = 2e7 + leak + noise.gauss(0, 4e4)
        body: dict[str, Any] = {
            "phase": phase.name, "operations_total": int(engine.rate_per_s * sum(done)), "errors_total": 0,
            "dropped_total": 0, "skipped_total": 0, "live_python_bytes": live, "live_native_bytes": 1e7 + live / 10,
            "python_free_bytes": 1e6 + noise.gauss(0, 3e4), "native_free_bytes": 1e6 + noise.gauss(0, 3e4),
            "rust_bytes": 5e5, "python_blocks": live // 64, "tasks": 3,
            **{f"gc_count_{n}": i % 7 for n in range(3)},
            **{f"gc_collections_{n}_total": i for n in range(3)}, **{f"gc_collected_{n}_total": i for n in range(3)},
            "gc_uncollectable_total": 0, "counter.entries": 10_000, "counter.hits": 9 * i, "counter.misses": i,
            **{f"probe.{probe}.duration_s": 1e-4 for probe in ("live_python", "live_native", "gc", "tasks", "rust")},
        }  # fmt: skip
        if t_s >= collect_s:
            collect_s += engine.collect_every_s or 60.0
            body |= {"reachable_python_bytes": 2e7 + leak + noise.gauss(0, 6e3), "reachable_native_bytes": 1e7}
            body["reachable_forked_at_s"] = MONO_S + t_s
        yield record("sample", name, t_s, body)
        outside = {
            "source": "outside", "rss_bytes": 5e7 + leak + 4096 * noise.randrange(30), "swap_bytes": 0, "fds": 12,
            "rss_anon_bytes": 4e7 + leak + 4096 * noise.randrange(30), "threads": 2, "cpu_s_total": 0.1 * t_s,
            "probe.outside.duration_s": 1e-4,
        }  # fmt: skip
        if i % 30 == 0:
            outside |= {"pss_bytes": 4.5e7 + leak, "uss_bytes": 4e7 + leak}
        yield record("sample", name, t_s, outside)
        if engine.config.kind == "cache.redis":
            server = {"source": "server", "server": "redis", "rss_bytes": 2e7 + leak, "fds": 12, "threads": 4}
            server |= {"rss_anon_bytes": 1e7 + leak + 4096 * noise.randrange(30), "cpu_s_total": 0.05 * t_s}
            yield record("sample", name, t_s, server | {"live_bytes": 5e6 + leak + noise.gauss(0, 6e3)})
        if t_s >= latency_s and phase.name in LOADED_PHASES:
            window = {"phase": phase.name, "window": False, "from_mono_s": MONO_S + latency_s - plan.latency_every_s}
            yield record("latency", name, t_s, window | dict.fromkeys(("service", "response", "lateness"), latency))
            latency_s += plan.latency_every_s


def packed() -> str:
    """A histogram as wide as those of a busy minute: 300 buckets."""
    first = histogram.bucket_of(10_000)
    return histogram.pack(histogram.encode_sparse([(first + i, 10 + i % 50) for i in range(300)]))


def write_run(folder: Path, plan: Plan) -> rundir.RunDir:
    run = rundir.RunDir.create(folder)
    journal = Journal(run.journal, on_commit=lambda _: None, on_failure=print)
    journal.set_meta({"run_id": run.run_id, "plan": plan_as_dict(plan), "environment": {}, "config_sha256": None})
    for i, made in enumerate(records(plan)):
        journal.put(made)
        while i % BATCH == 0 and journal._queue.qsize() > BATCH:
            time.sleep(0.01)
    journal.close()
    if journal.dropped:
        raise SystemExit(f"{journal.dropped} records were dropped: the disk is too slow for this bench")
    return run


def rows(hours: float = 24.0, engines: int = 8) -> Iterator[tuple[str, float, str, str]]:
    """Give (what, value, unit, remark)."""
    with tempfile.TemporaryDirectory() as scratch:
        run = write_run(Path(scratch) / "run", plan_of(hours, engines))
        size_mb = run.journal.stat().st_size / 1e6
        yield f"journal of {hours:g} h, {engines} engines and both controls", size_mb, "MB", "budget 100 MB a day"
        code, wall_s, used = _judged(run)
    cpu_s, peak_mb = used.ru_utime + used.ru_stime, used.ru_maxrss / 1e3
    yield "judging it, on one core", cpu_s, "s CPU", f"budget 30 s; {wall_s:.1f} s wall, exit {code}"
    yield "at most", peak_mb, "MB", "budget 400 MB"


def _judged(run: rundir.RunDir) -> tuple[int, float, resource.struct_rusage]:
    begun_s = time.monotonic()
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([sys.executable, "-m", "soakd", "judge", str(run.path), "--quiet"], env=environment)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, time.monotonic() - begun_s, used
