"""From a healthy run that passes, everything is taken away in turn: what a check needs is missed, and never a PASS.

What may be missing is listed here with the reason why; everything else may not.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from soakd.judge.checks import axes, counts, growth
from soakd.judge.growth.method import judge_growth
from soakd.wire.records import Record
from tests.recorded import MONO_S, Story, made_up, plan_of, remade, verdict_of

LIMITS = 'growth_per_operation = "16B"\nlatency_p95 = "5ms"\nresponse_p99 = "50ms"'
PLAN = plan_of(limits=LIMITS)
LOAD = PLAN.engines[0].load
QUARTER_S = LOAD.duration_s / 4
MINE, CONTROLS, DAEMON = "mine", ("control-null", "control-leak"), ""
STORY = Story(more={"tasks": lambda t_s, n: 2.0})
RECORDS = made_up(PLAN, {MINE: STORY})
Change = Callable[[Record], Record | None]

LABELS = {
    "phase": "a label: the plan says which phase a moment lies in",
    "source": "a label: who read it",
    "reachable_forked_at_s": "without it the moment of the sample is taken, a snapshot's length later",
}
EXPLAINS = {
    "rss_bytes": "shown; anonymous memory is what is judged",
    "live_python_bytes": "explains; reachable bytes decide, and no excuse is made without it",
    "live_native_bytes": "explains; reachable bytes decide, and no excuse is made without it",
}
MAY_MISS = {
    MINE: LABELS | EXPLAINS | {"tasks": "an engine without an event loop never had any; in part it may not be missing"},
    **{
        name: LABELS | EXPLAINS | dict.fromkeys(
            ("cpu_s_total", "dropped_total", "errors_total", "fds", "rss_anon_bytes", "skipped_total", "threads"),
            "a control answers for the instrument by its leak signal over its operations alone",
        )
        for name in CONTROLS
    },
    DAEMON: LABELS | dict.fromkeys(
        ("rss_bytes", "rss_anon_bytes", "cpu_s_total"), "what soakd takes decides from two hours of load on"
    ) | dict.fromkeys(
        ("live_python_bytes", "live_native_bytes", "reachable_python_bytes", "reachable_native_bytes"),
        "shown; of soakd's own memory the whole is judged",
    ),
}  # fmt: skip
KINDS_THAT_MAY_MISS = {
    **{(name, "phase"): "the plan says when phases begin; a worker's own word for it is not read" for name in
       (MINE, *CONTROLS)},
    **{(name, "latency"): "a control's latency judges nothing" for name in CONTROLS},
}  # fmt: skip
STRETCHES_THAT_MAY_MISS = {
    **{(name, "latency"): "a control's latency judges nothing" for name in CONTROLS},
    (DAEMON, "sample"): "clocks are compared over any gap: a sleep or a step shows at its end",
}


@pytest.fixture(autouse=True, scope="module")
def remembered() -> Iterator[None]:
    """Judge a series that is the same as before only once: most of a run is, whatever is taken away."""
    known: dict[Any, Any] = {}

    def judge(x: Any, y: Any, segment: Any = None, *, limit: float, day: float) -> Any:
        key = (x.tobytes(), y.tobytes(), None if segment is None else segment.tobytes(), limit, day)
        if key not in known:
            known[key] = judge_growth(x, y, segment, limit=limit, day=day)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        for module in (axes, counts, growth):
            patch.setattr(module, "judge_growth", judge)
        yield


def names() -> list[tuple[str, str]]:
    found = {(r.engine, name) for r in RECORDS if r.kind == "sample" for name in r.body}
    return sorted((engine, name) for engine, name in found if name not in MAY_MISS[engine])


def kinds() -> list[tuple[str, str]]:
    return sorted({(r.engine, r.kind) for r in RECORDS} - set(KINDS_THAT_MAY_MISS))


def verdict_with(change: Change) -> str:
    return str(verdict_of(PLAN, [c for r in RECORDS if (c := change(r)) is not None])["verdict"])


def within(record: Record, start_s: float, end_s: float) -> bool:
    return start_s <= record.at.mono_s - MONO_S < end_s


def without_signal(engine: str, name: str, start_s: float = -1e9, end_s: float = 1e9) -> Change:
    def change(record: Record) -> Record:
        if (record.engine, record.kind) != (engine, "sample") or not within(record, start_s, end_s):
            return record
        return remade(record, body={k: v for k, v in record.body.items() if k != name})

    return change


def without_kind(engine: str, kind: str, start_s: float = -1e9, end_s: float = 1e9) -> Change:
    def change(record: Record) -> Record | None:
        return None if (record.engine, record.kind) == (engine, kind) and within(record, start_s, end_s) else record

    return change


def test_with_everything_there_the_run_passes() -> None:
    assert verdict_with(lambda record: record) == "PASS"


@pytest.mark.parametrize(("engine", "name"), names())
def test_no_signal_that_a_check_needs_can_be_missing(engine: str, name: str) -> None:
    assert verdict_with(without_signal(engine, name)) != "PASS"


@pytest.mark.parametrize(("engine", "name"), [*names(), (MINE, "tasks")])
@pytest.mark.parametrize("quarter", range(4))
def test_no_signal_that_a_check_needs_can_be_missing_for_a_quarter_of_the_load(
    engine: str, name: str, quarter: int
) -> None:
    start_s = LOAD.start_s + quarter * QUARTER_S
    assert verdict_with(without_signal(engine, name, start_s, start_s + QUARTER_S + 1)) != "PASS"


@pytest.mark.parametrize(("engine", "kind"), kinds())
def test_no_kind_of_record_that_a_check_needs_can_be_missing(engine: str, kind: str) -> None:
    assert verdict_with(without_kind(engine, kind)) != "PASS"


@pytest.mark.parametrize("engine", [MINE, *CONTROLS, DAEMON])
@pytest.mark.parametrize("kind", ["sample", "latency"])
@pytest.mark.parametrize("quarter", range(4))
def test_no_quarter_of_the_load_can_be_missing(engine: str, kind: str, quarter: int) -> None:
    if (engine, kind) in STRETCHES_THAT_MAY_MISS or (engine, kind) not in kinds():
        return
    start_s = LOAD.start_s + quarter * QUARTER_S
    assert verdict_with(without_kind(engine, kind, start_s, start_s + QUARTER_S + 1)) != "PASS"


@pytest.mark.parametrize("phase", ["baseline", "close"])
def test_what_comes_back_cannot_be_told_without_its_phase(phase: str) -> None:
    lost = next(p for p in PLAN.engines[0].phases if p.name == phase)
    assert verdict_with(without_kind(MINE, "sample", lost.start_s, lost.end_s + 1)) != "PASS"


@pytest.mark.parametrize(("engine", "name"), [*((MINE, name) for name in MAY_MISS[MINE]), (DAEMON, "rss_bytes")])
def test_what_may_be_missing_changes_nothing(engine: str, name: str) -> None:
    assert verdict_with(without_signal(engine, name)) == "PASS"
