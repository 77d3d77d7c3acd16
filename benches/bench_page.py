"""What it costs to be watched: a scrape, an event, a series, with eight engines and with thirty days behind them."""

import contextlib
import json
import resource
import sqlite3
import statistics
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from benches import bench_soak
from soakd.cli.run_view import RunView
from soakd.live import metrics
from soakd.live.status import RunStatus, recalled
from soakd.live.web.state import state_of_run
from soakd.record import journal, resume
from soakd.record.run_folder import RunDir
from soakd.setup.config import parse
from soakd.setup.plan import Plan, make_plan
from soakd.setup.plan_json import plan_as_dict
from soakd.wire.records import Stamp
from tests.showing import ORIGIN_S, hello, latency, origin, outside, phase, sample, verdict_so_far
from tests.typed import typed

TITLE = "watching: a scrape, a page's event, series, thirty days, and the engines' rate under eight watchers"
ENGINES = 8
DAYS, EVERY_S = 30, 10.0
ENGINE = '[[engine]]\nname = "cache-{n}"\nkind = "cache.native"\nrate = 1000\noptions = {{ capacity = 1000 }}\n'
CONFIG = f'[run]\nname = "month"\nduration = "{DAYS}d"\n[limits]\ngrowth_rate = "1MB/h"\n'
WATCHERS = 8


def rows() -> Iterator[tuple[str, float, str, str]]:
    """Give (what, value, unit, remark)."""
    plan = make_plan(parse(CONFIG + "".join(ENGINE.format(n=n) for n in range(ENGINES - 2)), source="m", folder=Path()))
    status, fold_us = _month(plan)
    now_s = ORIGIN_S + DAYS * 86400.0
    yield "a record folded into status and series", fold_us, "us", f"mean over {DAYS} days, {ENGINES} engines"
    for what, make in _answers(status, now_s).items():
        took_ms, size = _timed(make)
        yield what, took_ms, "ms", f"{size:,} bytes"
    yield from _from_disk(plan)
    alone, watched = [], []
    for _ in range(bench_soak.PAIRS):
        alone.append(bench_soak.throughput("20s", "250ms", "1s"))
        watched.append(bench_soak.throughput("20s", "250ms", "1s", beside=_watch))
    ratios = [one / other for one, other in zip(watched, alone, strict=True)]
    told = f"{WATCHERS} pages, scraped each second; pairs: {', '.join(f'{ratio:.4f}' for ratio in ratios)}"
    yield "the engine's rate while watched, over alone", statistics.median(ratios), "", told


def _month(plan: Plan) -> tuple[RunStatus, float]:
    """Fold a month of samples; returns the status and microseconds a record."""
    status = RunStatus(plan, "month")
    status.fold(
        [*(hello(name) for name in status.engines), origin(), *(phase(n, "load", 600.0) for n in status.engines)]
    )
    count, spent_s = 0, 0.0
    every = 6  # a sixth of the samples is enough to know the mean, and to fill every stretch
    for slot in range(0, int(DAYS * 86400 / EVERY_S), every):
        t_s = slot * EVERY_S
        reachable = {"reachable_python_bytes": 7_000_000 + slot, "reachable_native_bytes": 3_000_000}
        batch = [r for n in status.engines for r in (sample(n, t_s, slot * 100, **reachable), outside(n, t_s))]
        begun_s = time.process_time()
        status.fold(batch)
        spent_s += time.process_time() - begun_s
        count += len(batch)
    for minute in range(100):
        status.fold([latency(name, DAYS * 86400 - 6000 + 60 * minute) for name in status.engines])
    status.apply_verdict(typed(verdict_so_far()))
    return status, spent_s / count * 1e6


def _answers(status: RunStatus, now_s: float) -> dict[str, Callable[[], bytes]]:
    history = next(iter(status.engines.values())).history
    drawn = ("reachable_bytes", "rss_anon_bytes", "rss_bytes", "live_bytes", "service_p95_s", "rate_per_s")

    def card() -> bytes:
        return json.dumps({name: history.whole(name, 256).as_dict() for name in drawn}).encode()

    return {
        "a scrape of /metrics": lambda: metrics.render(status, now_s),
        "an event": lambda: json.dumps(state_of_run(status, now_s)).encode(),
        "everything of every engine": lambda: json.dumps([e.as_dict() for e in status.engines.values()]).encode(),
        f"a card's series over {DAYS} days, 256 points": card,
    }


def _timed(make: Callable[[], bytes]) -> tuple[float, int]:
    """Return the median milliseconds of processor time, and how many bytes."""
    took = []
    for _ in range(30):
        begun_s = time.process_time()
        make()
        took.append(time.process_time() - begun_s)
    return statistics.median(took) * 1e3, len(make())


_INSIDE = (
    "live_python_bytes", "live_native_bytes", "operations_total", "errors_total", "dropped_total", "python_blocks",
    "gc_count_0", "rust_bytes", "counter.entries", "counter.hits", "probe.fork.duration_s", "phase",
)  # fmt: skip
_OUTSIDE = (
    "rss_bytes", "rss_anon_bytes", "swap_bytes", "fds", "threads", "cpu_s_total", "probe.outside.duration_s",
)  # fmt: skip
_HEADINGS = [
    (1, json.dumps({"constants": {}, "names": _INSIDE})),
    (2, json.dumps({"constants": {"source": "outside"}, "names": _OUTSIDE})),
]
_FILL = """
WITH RECURSIVE slot(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM slot WHERE n + 1 < {slots})
INSERT INTO record (kind, engine, segment, wall_s, boot_s, mono_s, heading, body)
SELECT 'sample', engine.name, 0, {wall} + n * {every}, n * {every}, {origin} + n * {every}, part.heading,
    CASE part.heading WHEN 1 THEN json_array(
        8000000 + n, 3200000, n * 1000, 0, 0, 253362, 239, 209792, 10000, n, 0.00196, 'load'
    ) ELSE json_array(46829568, 33476608, 0, 5, 1, n * 0.1, 0.000179) END
FROM slot, (SELECT value AS name FROM json_each('{names}')) AS engine, (SELECT 1 AS heading UNION ALL SELECT 2) AS part
"""


def _from_disk(plan: Plan) -> Iterator[tuple[str, float, str, str]]:
    """Measure what reads a journal of a month: series after a resume, and `soakd status`."""
    with tempfile.TemporaryDirectory() as folder:
        run = RunDir(Path(folder))
        db = journal.Journal(run.journal, on_commit=lambda _: None, on_failure=print)
        db.set_meta({"run_id": "month", "plan": plan_as_dict(plan), "environment": {"host": {"boot_id": "b"}}})
        names = [engine.config.name for engine in plan.engines]
        for one in (*(hello(name) for name in names), origin(), *(phase(name, "load", 600.0) for name in names)):
            db.put(one)
        db.close()
        slots = int(DAYS * 86400 / EVERY_S)
        with contextlib.closing(sqlite3.connect(run.journal)) as filled, filled:
            filled.execute("PRAGMA synchronous = OFF")
            filled.executemany("INSERT INTO heading VALUES (?, ?)", _HEADINGS)
            filled.execute(
                _FILL.format(slots=slots, every=EVERY_S, wall=1.78e9, origin=ORIGIN_S, names=json.dumps(names))
            )
        size = f"journal of {run.journal.stat().st_size / 1e9:.2f} GB"
        at = Stamp(1.78e9 + DAYS * 86400, DAYS * 86400.0, ORIGIN_S + DAYS * 86400 + 1)
        begun_s, cpu_s = time.perf_counter(), time.process_time()
        found = RunView(run)
        yield (
            "soakd status",
            (time.perf_counter() - begun_s) * 1e3,
            "ms",
            f"{size}; {len(found.status.engines)} engines",
        )
        resumed = resume.look_back(run.journal, at, "b")
        begun_s, cpu_s = time.perf_counter(), time.process_time()
        recalled(run.journal, "month", resumed)
        took_s = time.perf_counter() - begun_s
        yield (
            "series read again after a resume",
            took_s,
            "s",
            f"{size}; {time.process_time() - cpu_s:.1f} s of processor",
        )
    yield (
        "resident at most, all of this in one process",
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
        "MB",
        "",
    )


def _watch(address: str, over: threading.Event) -> None:
    """Be eight pages and a Prometheus until it is over."""
    threads = [threading.Thread(target=_page, args=(address, over)) for _ in range(WATCHERS)]
    threads.append(threading.Thread(target=_repeat, args=(f"{address}metrics", 1.0, over)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _page(address: str, over: threading.Event) -> None:
    asking = threading.Thread(target=_repeat, args=(f"{address}api/v1/engines/saturated/series", 3.0, over))
    asking.start()
    with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}api/v1/events", timeout=10) as events:
        while not over.is_set() and events.readline():
            pass
    asking.join()


def _repeat(address: str, every_s: float, over: threading.Event) -> None:
    while not over.wait(every_s):
        with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=10) as answer:
            answer.read()
