"""Live and reachable bytes are one sum, whoever asks."""

import io
import math
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console

from soakd.judge.story.assemble import assemble
from soakd.live import metrics
from soakd.live.status import RunStatus
from soakd.live.terminal.live import render
from soakd.report.curves.signals import Signals
from soakd.units import format_bytes
from soakd.wire.records import Record, Sample
from soakd.wire.signal_sums import PYMALLOC_OFF, SUMS, sum_of
from tests.recorded import MONO_S, check, made_up, plan_of, remade, verdict_of

PLAN, UNTIL_S = plan_of(), 120
PARTS = {"live_python_bytes": 5, "live_native_bytes": 7}


@pytest.mark.parametrize(
    ("readings", "total"),
    [
        (PARTS, 12),
        ({"live_native_bytes": 7}, None),
        ({"live_native_bytes": 7, PYMALLOC_OFF: 1.0}, 7),
        ({"live_native_bytes": 7, PYMALLOC_OFF: 0.0}, None),
        ({"live_python_bytes": 5, PYMALLOC_OFF: 1.0}, None),
        ({PYMALLOC_OFF: 1.0}, None),
        (PARTS | {PYMALLOC_OFF: 1.0}, 12),
        (PARTS | {"live_python_bytes": None, PYMALLOC_OFF: 1.0}, None),
        (PARTS | {"live_python_bytes": -1}, None),
        (PARTS | {"live_python_bytes": True}, None),
        (PARTS | {"live_python_bytes": "5"}, None),
        (PARTS | {"live_native_bytes": math.nan}, None),
        (PARTS | {"live_native_bytes": math.inf}, None),
    ],
)
def test_a_sum_is_known_where_each_of_its_parts_is_or_all_is_native(
    readings: dict[str, Any], total: int | None
) -> None:
    assert sum_of(readings, "live_bytes") == total


def without_pymalloc(record: Record) -> Record:
    """The sample of the same process, had it no pymalloc: what was Python's is native."""
    body = dict(record.body)
    if record.kind != "sample" or not {*PARTS} & body.keys():
        return record
    for python, native in SUMS.values():
        if python in body:
            body[native] += body.pop(python)
    return remade(record, body=body | {PYMALLOC_OFF: 1.0})


@pytest.fixture(scope="module")
def records() -> list[Record]:
    return [without_pymalloc(record) for record in made_up(PLAN, until_s=UNTIL_S, end=None)]


def test_without_pymalloc_judge_report_page_table_and_metrics_have_the_same_figures(records: list[Record]) -> None:
    data = next(engine for engine in assemble(PLAN, records).engines if engine.name == "mine")
    status, signals = RunStatus(PLAN, "r"), Signals(MONO_S, PLAN.duration_s, 10_000)
    status.fold(records)
    for record in records:
        if isinstance(record, Sample) and record.engine == "mine":
            signals.sample(record)
    shown = status.engines["mine"].as_dict()["latest"]
    for name in SUMS:
        judged, drawn = data.series[name], signals.bands()[name]
        assert shown[name] == judged.y[-1]
        assert (drawn.readings, drawn.low, drawn.high) == (len(judged), judged.y.min(), judged.y.max())
    assert scraped(status, "soakd_engine_reachable_bytes", "mine") == [shown["reachable_bytes"]]
    assert scraped(status, "soakd_engine_live_bytes", "mine") == [shown["live_bytes"]], "all of it is native"
    console = Console(file=io.StringIO(), width=200, _environ={})
    console.print(render(status, MONO_S + UNTIL_S, 200))
    assert isinstance(console.file, io.StringIO)
    [line] = [line for line in console.file.getvalue().splitlines() if line.startswith("mine ")]
    assert line.count(format_bytes(shown["live_bytes"])) >= 1


def test_without_pymalloc_the_verdict_is_that_of_the_same_process_with_it(records: list[Record]) -> None:
    names = ("verdict", "estimate", "low", "high", "samples")
    with_it, without = (
        check(verdict_of(PLAN, made), "mine", "growth.reachable_bytes")
        for made in (made_up(PLAN, until_s=UNTIL_S, end=None), records)
    )
    assert [with_it[name] for name in names] == pytest.approx([without[name] for name in names])


def test_the_daemon_without_pymalloc_has_a_sum_too(records: list[Record]) -> None:
    assert len(assemble(PLAN, records).own.series["reachable_bytes"]) == 3  # type: ignore[union-attr]
    status = RunStatus(PLAN, "r")
    status.fold(records)
    assert scraped(status, "soakd_daemon_reachable_bytes") == [status.own["reachable_native_bytes"]]


def scraped(status: RunStatus, name: str, engine: str | None = None) -> list[float]:
    families = text_string_to_metric_families(metrics.render(status, MONO_S + UNTIL_S).decode())
    samples = [one for family in families for one in family.samples if one.name == name]
    return [one.value for one in samples if one.labels.get("engine") == engine]
