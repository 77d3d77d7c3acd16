"""What the daemon keeps does not grow with the run: thirty days of records, and what a bad month brings."""

import gc
from collections.abc import Iterator
from typing import Any

import pytest

from soakd.daemon.log import EventLog
from soakd.live import metrics
from soakd.live.status import RunStatus
from soakd.wire import histogram
from soakd.wire.records import INCIDENTS, Kind, Record, make_record
from soakd.worker.probes.allocator import live_native_bytes, live_python_bytes
from tests.recorded import MONO_S, plan_of, stamp

pytestmark = pytest.mark.slow

DAY_S = 86400
EVERY_S = 300
DAYS, SETTLED_AFTER = 30, 6
"""The series that are drawn have filled their stretches and their rings by then; from then on they only get coarser."""
MOST_GROWN_BYTES = 100_000
"""Dictionaries that are rebuilt, free lists: no record is as small as a five hundredth of a sample."""


def record(kind: Kind, engine: str, t_s: float, body: dict[str, Any], segment: int = 0) -> Record:
    return make_record(kind, engine=engine, segment=segment, at=stamp(t_s), body=body)


def a_while(t_s: int, names: tuple[str, ...], packed: str) -> Iterator[Record]:
    """What comes within five minutes: samples, latencies, and now and then whatever may go wrong."""
    minute = t_s // EVERY_S
    for name in names:
        life = t_s // (DAY_S // 4)
        body = {"phase": "load", "operations_total": t_s % (DAY_S // 4) * 1000, "errors_total": t_s // 7,
                "live_python_bytes": 2e7 + minute % 100, "live_native_bytes": 1e7, "reachable_python_bytes": 2e7,
                "reachable_native_bytes": 1e7, "counter.entries": minute}  # fmt: skip
        yield record("sample", name, t_s, body, life)
        outside = {
            "source": "outside",
            "rss_bytes": 5e7,
            "rss_anon_bytes": 4e7,
            "fds": 9,
            "threads": 2,
            "cpu_s_total": t_s,
        }
        yield record("sample", name, t_s, outside, life)
        window = {"phase": "load", "window": False, "from_mono_s": MONO_S + t_s - EVERY_S}
        yield record("latency", name, t_s, window | dict.fromkeys(("service", "response", "lateness"), packed), life)
        if minute % 2 == 0:
            yield record("snapshot", name, t_s, {"types": {f"type-{minute}": 1}, "duration_s": 0.1}, life)
        if t_s % (DAY_S // 4) == 0:
            yield record("hello", name, t_s, {"pid": minute, "executable": "python"}, life)
    for what in sorted(INCIDENTS) if minute % 12 == 0 else ():
        yield record("incident", names[minute // 12 % len(names)], t_s, {"what": what, "detail": f"{what} at {t_s}"})
    if minute % 12 == 6:
        yield record("incident", names[0], t_s, {"what": f"own-{t_s}", "detail": "an engine that makes names up"})
    yield record("sample", "", t_s, {"source": "outside", "rss_bytes": 5e7, "fds": 30, "cpu_s_total": t_s / 100})


def test_thirty_days_leave_nothing_in_the_daemon() -> None:
    plan = plan_of(duration="30d", every="5min", limits='growth_rate = "1MB/h"')
    status, events = RunStatus(plan, "a-month"), EventLog()
    first = histogram.bucket_of(10_000)
    packed = histogram.pack(histogram.encode_sparse([(first + i, 10 + i % 50) for i in range(300)]))
    names = tuple(engine.config.name for engine in plan.engines)
    status.fold([record("phase", "", 0.0, {"name": "origin", "mono_s": MONO_S})])
    sizes = []
    for day in range(DAYS):
        for t_s in range(day * DAY_S, (day + 1) * DAY_S, EVERY_S):
            batch = list(a_while(t_s, names, packed))
            status.fold(batch)
            events.fold(batch)
            del batch
            events.progress(status, MONO_S + t_s)
        metrics.render(status, MONO_S + (day + 1) * DAY_S)
        status.as_dict(MONO_S + (day + 1) * DAY_S)
        gc.collect()
        sizes.append(live_python_bytes() + live_native_bytes())
    settled = sizes[SETTLED_AFTER:]
    assert max(settled) - settled[0] < MOST_GROWN_BYTES, [size - sizes[0] for size in sizes]
    assert status.coverage_ratio(MONO_S + DAYS * DAY_S) is not None
