"""What the final judgement of a long run costs.

Makes up the journal of a run (24 h, 8 engines and both controls, two of them with a server, a sample every 10 s, limits
per hour and per operation, so that every signal is judged both ways) and judges it in a fresh process. Its records have
the names of real ones, and their latencies are as wide as those of an hour and a half of configs/release.toml on two
cores that other programs kept busy: on a host put aside for a soak they are narrower.
"""

import math
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

from soakd.record import run_folder
from soakd.record.journal import Journal
from soakd.setup import config
from soakd.setup.plan import EnginePlan, Plan, make_plan
from soakd.setup.plan_json import plan_as_dict
from soakd.wire import histogram
from soakd.wire.records import Kind, Record, Stamp, make_record
from soakd.wire.spec import LOADED_PHASES
from soakd.worker.housekeeping import OBSERVED_BITS, OCTAVE_BITS, RARE_EVERY

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
rate = {rate}
"""
KINDS = (*['kind = "python"\nfactory = "package.module:make"'] * 4, 'kind = "cache.native"', 'kind = "cache.redis"')
"""The last two in turn: two subjects, and two rivals with servers that are compared with both."""
MONO_S, WALL_S = 5000.0, 1.8e9
BATCH = 20_000


def plan_of(hours: float, engines: int) -> Plan:
    kinds = [KINDS[i if i < 4 else 4 + i % 2] for i in range(engines)]
    rates = [200 if "redis" in kind else 2000 for kind in kinds]
    engines_of_it = (ENGINE.format(i=i, kind=kind, rate=rates[i]) for i, kind in enumerate(kinds))
    text = PLAN.format(hours=hours) + "".join(engines_of_it)
    return make_plan(config.parse(text, source="bench.toml", folder=Path()))


def record(kind: Kind, engine: str, t_s: float, body: dict[str, Any]) -> Record:
    return make_record(kind, engine=engine, segment=0, at=Stamp(WALL_S + t_s, MONO_S + t_s, MONO_S + t_s), body=body)


def records(plan: Plan) -> Iterator[Record]:
    yield record("phase", "", 0.0, {"name": "origin", "mono_s": MONO_S})
    for engine in plan.engines:
        yield from engine_records(plan, engine)
    noise = random.Random("soakd")
    for i in range(int(plan.duration_s / 10)):
        body = {
            "source": "outside", "rss_bytes": 40_001_536, "rss_anon_bytes": 29_999_104 + 4096 * (i % 7), "fds": 62,
            "threads": 3, "swap_bytes": 0, "cpu_s_total": round(i * 0.05, 2), "disk_free_bytes": 7.29e10 - 1e4 * i,
            "memory_available_bytes": 2.2e10 + 4096 * noise.randrange(10**5), "run_bytes": 8192.0 * i,
            **{f"host_{what}_ratio": round(noise.random(), 4) for what in ("cpu_pressure", "io_pressure", "others")},
            "host_memory_pressure_ratio": 0.0, "host_steal_ratio": 0.0009, "daemon_fds_ratio": 0.0031,
            "host_oom_kills_total": 0.0, "memory_reserve_bytes": 1263825100.8, "probe.outside.duration_s": 0.00054,
        }  # fmt: skip
        yield record("sample", "", 10.0 * i, body)
    yield record("phase", "", plan.duration_s, {"name": "end", "reason": "completed"})


def engine_records(plan: Plan, engine: EnginePlan) -> Iterator[Record]:
    name, noise = engine.config.name, random.Random(engine.config.name)
    yield record("hello", name, -1.0, {"pid": 7})
    if engine.config.kind == "cache.redis":
        yield record("server", name, -1.0, {"server": "redis", "pid": 8, "backend": "private", "read_from": "proc"})
    windows = [list(latencies(engine.rate_per_s * plan.latency_every_s, noise)) for _ in range(20)]
    collect_s, latency_s, snapshot_s = 0.0, plan.latency_every_s, 60.0
    for i in range(int(plan.duration_s / 10)):
        t_s = 10.0 * i
        phase = next((p for p in engine.phases if p.start_s <= t_s < p.end_s), engine.phases[-1])
        leak = (0.0, 2e6 / 3600)[name.endswith(("1", "leak"))] * t_s + 5e6 * (1 - 2.718 ** (-t_s / 3600))
        body = inside(engine, t_s, leak, noise) | {"phase": phase.name}
        if t_s >= collect_s:
            collect_s += engine.collect_every_s or 60.0
            body |= {
                "reachable_python_bytes": round(2e7 + leak + noise.gauss(0, 6e3)), "reachable_native_bytes": 10_000_000,
                "reachable_forked_at_s": round(MONO_S + t_s - 9.7, 9), "probe.reachable.duration_s": 0.330709014,
                "probe.fork.duration_s": 0.001697296,
            }  # fmt: skip
        yield record("sample", name, t_s, body)
        outside = {
            "source": "outside", "rss_bytes": pages(5e7 + leak, noise), "rss_anon_bytes": pages(4e7 + leak, noise),
            "swap_bytes": 0, "fds": 12, "threads": 2, "cpu_s_total": round(0.1 * t_s, 2),
            "probe.outside.duration_s": 0.000114,
        }  # fmt: skip
        if i % 30 == 0:
            outside |= {"pss_bytes": pages(4.5e7 + leak, noise), "uss_bytes": pages(4e7 + leak, noise)}
        yield record("sample", name, t_s, outside)
        if engine.config.kind == "cache.redis":
            server = {
                "source": "server", "server": "redis", "rss_bytes": pages(2e7 + leak, noise),
                "rss_anon_bytes": pages(1e7 + leak, noise), "swap_bytes": 0, "fds": 12, "threads": 4,
                "cpu_s_total": round(0.05 * t_s, 2), "live_bytes": round(5e6 + leak + noise.gauss(0, 6e3)),
                "probe.server.duration_s": 0.009574,
            }  # fmt: skip
            yield record("sample", name, t_s, server)
        if t_s >= latency_s and phase.name in LOADED_PHASES:
            window = {"phase": phase.name, "window": False, "from_mono_s": MONO_S + latency_s - plan.latency_every_s}
            clean, observed = noise.choice(windows)
            yield record("latency", name, t_s, window | clean)
            yield record("latency", name, t_s, window | {"window": True} | observed)
            latency_s += plan.latency_every_s
        if t_s >= snapshot_s:
            snapshot_s += plan.config.run.snapshot_every_s or 300.0
            yield record("snapshot", name, t_s, snapshot(t_s))


def inside(engine: EnginePlan, t_s: float, leak: float, noise: random.Random) -> dict[str, Any]:
    """What a worker reads of itself."""
    done = sum(max(0.0, min(t_s, p.end_s) - p.start_s) for p in engine.phases if p.name in LOADED_PHASES)
    live, operations = 2e7 + leak + noise.gauss(0, 4e4), int(engine.rate_per_s * done)
    body: dict[str, Any] = {
        "live_python_bytes": round(live), "python_free_bytes": round(1e6 + noise.gauss(0, 3e4)),
        "live_native_bytes": round(1e7 + live / 10), "native_free_bytes": round(1e6 + noise.gauss(0, 3e4)),
        "python_blocks": int(live) // 64, "tasks": 3, "rust_bytes": 500_000,
        "counter.entries": 10_000, "counter.hits": operations * 9 // 10, "counter.misses": operations // 10,
        "counter.inserts": operations // 10, "counter.evictions": operations // 12, "counter.timeouts_total": 0,
        "counter.connection_errors_total": 0,
        "operations_total": operations, "errors_total": 0, "dropped_total": 0, "skipped_total": int(t_s) // 60,
    }  # fmt: skip
    if t_s % (10 * RARE_EVERY) == 0:
        body |= {f"gc_count_{n}": int(t_s) % 700 for n in range(3)}
        body |= {f"gc_{what}_{n}_total": int(t_s) // 60 for what in ("collections", "collected") for n in range(3)}
        body["gc_uncollectable_total"] = 0
        probes = ("live_python", "live_native", "python_blocks", "gc", "tasks", "counters", "rust")
        body |= {f"probe.{probe}.duration_s": 0.000135123 for probe in probes}
    return body


def pages(count: float, noise: random.Random) -> int:
    """Resident memory: whole pages, and noise."""
    return 4096 * (int(count) // 4096 + noise.randrange(30))


def snapshot(t_s: float) -> dict[str, Any]:
    """What a forked child finds in the heap: 30 types and 15 containers."""
    types = [{"type": f"package.module.Type{n}", "count": 50_000 // (n + 1), "bytes": 4_000_000} for n in range(30)]
    containers = [{"type": "dict", "length": 9000, "id": 140458858322944, "name": f"module.n{n}"} for n in range(15)]
    head = {"forked_at_s": MONO_S + t_s, "duration_s": 1.667833952, "method": "pympler", "objects": 134955}
    return head | {"bytes": 15_570_624, "types": types, "containers": containers}


def latencies(operations: float, noise: random.Random) -> Iterator[dict[str, str]]:
    """Latencies of a minute: of the operations beside no child of soakd's, and of the tenth beside one."""
    for count, bits in ((0.9 * operations, OCTAVE_BITS), (0.1 * operations, OBSERVED_BITS)):
        wide = {"service": 0.8, "response": 2.0, "lateness": 2.0}
        yield {what: histogram.pack(spread(count, wide[what], noise), bits[what]) for what in bits}


def spread(operations: float, octaves: float, noise: random.Random) -> bytes:
    """So many operations about 10 us, two thirds of them within so many octaves of it."""
    middle, sigma = histogram.bucket_of(10_000), octaves * histogram.OCTAVE
    counts = {}
    for step in range(-int(3 * sigma), int(3 * sigma)):
        expected = operations * math.exp(-0.5 * (step / sigma) ** 2) / (sigma * math.sqrt(2 * math.pi))
        counts[middle + step] = max(0, round(noise.gauss(expected, math.sqrt(expected))))
    return histogram.encode_sparse([(bucket, count) for bucket, count in counts.items() if count and bucket > 0])


def write_run(folder: Path, plan: Plan) -> run_folder.RunDir:
    run = run_folder.RunDir.create(folder)
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


def _judged(run: run_folder.RunDir) -> tuple[int, float, resource.struct_rusage]:
    begun_s = time.monotonic()
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([sys.executable, "-m", "soakd", "judge", str(run.path), "--quiet"], env=environment)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, time.monotonic() - begun_s, used
