"""What must not change a verdict, and what no run may claim."""

import json
import random
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from soakd.wire.records import Record
from tests.recorded import Story, judged, leak_control, made_up, per_operation, plan_of, remade, verdict_of

PLAN = plan_of()
ALONE = plan_of(run='controls_off = ["null", "leak"]')
"""One engine: its checks are what is looked at, and a third of the work."""
QUICK = settings(max_examples=8, deadline=None)
LEAKS = st.sampled_from((0.0, 1.0, 8.0, 15.0, 17.0, 32.0, 200.0, 20_000.0))
STORIES = st.builds(
    lambda python, native, noise, errors: Story(
        python=per_operation(python), native=per_operation(native), noise_bytes=noise, error_ratio=errors
    ),
    LEAKS, LEAKS, st.sampled_from((0.0, 3e3, 3e5)), st.sampled_from((0.0, 0.5)),
)  # fmt: skip
SEVERITY = ("PASS", "INCONCLUSIVE", "FAIL")


def growth_states(verdict: dict[str, Any], engine: int = 0) -> dict[str, str]:
    checks = verdict["engines"][engine]["checks"]
    return {c["id"]: c["verdict"] for c in checks if c["id"].startswith("growth.") and not c.get("informational")}


@QUICK
@given(STORIES, st.randoms(use_true_random=False), st.sampled_from((None, (70.0,))))
def test_neither_the_order_of_records_nor_a_record_twice_matters(
    story: Story, chance: random.Random, restarts: tuple[float, ...] | None
) -> None:
    story.restarts = restarts or ()
    records = made_up(ALONE, {"mine": story})
    shuffled = records + chance.sample(records, len(records) // 3)
    chance.shuffle(shuffled)
    assert verdict_of(ALONE, shuffled) == verdict_of(ALONE, records)


@QUICK
@given(STORIES, st.floats(10.0, 143.0), st.sampled_from(("interrupted", "failed", "memory_reserve", None)))
@example(Story(python=per_operation(20_000)), 143.0, "interrupted")
@example(Story(), 143.9, None)
def test_before_80_percent_of_the_plan_growth_neither_passes_nor_fails(
    story: Story, until_s: float, end: str | None
) -> None:
    verdict = judged(ALONE, mine=story, until_s=until_s, end=end)
    assert set(growth_states(verdict).values()) == {"INCONCLUSIVE"}
    assert verdict["verdict"] != "PASS"


@QUICK
@given(STORIES, st.floats(10.0, 180.0))
def test_while_a_run_goes_on_nothing_is_final(story: Story, until_s: float) -> None:
    verdict = judged(ALONE, mine=story, until_s=until_s, end=None, running=True)
    assert set(growth_states(verdict).values()) == {"INCOMPLETE"}
    assert verdict["verdict"] in ("INCOMPLETE", "INVALID")


@QUICK
@given(LEAKS, st.sampled_from((20.0, 100.0, 5000.0)), st.booleans())
def test_adding_a_leak_never_makes_growth_look_better(base: float, added: float, native: bool) -> None:
    before = growth_states(judged(ALONE, mine=Story(python=per_operation(base))))
    more = Story(python=per_operation(base), native=per_operation(added))
    worse = more if native else Story(python=per_operation(base + added))
    after = growth_states(judged(ALONE, mine=worse))
    assert all(SEVERITY.index(after[name]) >= SEVERITY.index(state) for name, state in before.items())


@QUICK
@given(st.sampled_from(("null", "leak", "both")), LEAKS)
def test_a_broken_control_is_never_a_pass(which: str, base: float) -> None:
    broken = {"null": Story(python=per_operation(100)), "leak": Story()}
    null = broken["null"] if which != "leak" else None
    leak = broken["leak"] if which != "null" else leak_control(PLAN)
    assert judged(PLAN, mine=Story(python=per_operation(base)), null=null, leak=leak)["verdict"] in ("FAIL", "INVALID")


NONSENSE: st.SearchStrategy[Any] = st.sampled_from(
    (None, "x", "", float("nan"), float("-inf"), 1e308, 10**30, True, [], {})
)
READINGS = ("live_native_bytes", "reachable_python_bytes", "operations_total", "rss_anon_bytes", "fds", "cpu_s_total")


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_nonsense_in_a_record_raises_nothing_and_passes_nothing(data: st.DataObject) -> None:
    records = made_up(ALONE)
    rows = [i for i, r in enumerate(records) if r.engine == "mine" and r.kind == "sample" and READINGS[0] in r.body]
    at = data.draw(st.sampled_from(rows))
    body = {**records[at].body, data.draw(st.sampled_from(READINGS)): data.draw(NONSENSE)}
    records[at] = remade(records[at], body=body)
    verdict = verdict_of(ALONE, records)
    json.dumps(verdict, allow_nan=False)
    assert next(c for c in verdict["checks"] if c["id"] == "evidence.records")["verdict"] == "INVALID"


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_nonsense_in_what_frames_a_run_raises_nothing(data: st.DataObject) -> None:
    records = made_up(ALONE, {"mine": Story(incidents=[(30.0, {"what": "crash", "detail": "killed"})])})
    at = data.draw(st.sampled_from([i for i, r in enumerate(records) if r.kind not in ("sample", "latency")]))
    if data.draw(st.booleans()):
        stamp = records[at].at._replace(mono_s=data.draw(NONSENSE))
        records[at] = remade(records[at], at=stamp)
    else:
        body = dict.fromkeys(records[at].body, data.draw(NONSENSE))
        records[at] = remade(records[at], body=body)
    json.dumps(verdict_of(ALONE, records), allow_nan=False)


@QUICK
@given(st.data())
def test_a_run_with_records_missing_is_the_same_verdict_or_none(data: st.DataObject) -> None:
    """Whatever whole kind of record is lost, a leak is not turned into a pass."""
    lost = data.draw(st.sampled_from(("hello", "sample", "latency", "phase", "bye")))
    engine = data.draw(st.sampled_from(("mine", "")))

    def lose(record: Record) -> Record | None:
        return None if (record.kind, record.engine) == (lost, engine) else record

    assert judged(ALONE, mine=Story(python=per_operation(200)), change=lose)["verdict"] != "PASS"
