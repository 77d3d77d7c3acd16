"""Every class of growth, each shown by the signals that tell it from the others."""

import math

import pytest

from soakd.wire.spec import LOADED_PHASES
from tests.recorded import Story, check, flat, judged, per_hour, per_operation, plan_of

SHORT = plan_of(run='controls_off = ["null", "leak"]')
DAY = plan_of(
    duration="24h", every="5min", run='controls_off = ["null", "leak"]\ncollect_every = "5min"',
    limits='growth_rate = "1MB/h"\ntotal_growth = "off"\nreturn_to_baseline = "off"',
)  # fmt: skip


def waits(t_s: float, operations: float) -> float:
    """Work that piles up under load and is done while it pauses."""
    phase = next((p for p in SHORT.engines[0].phases if p.start_s <= t_s < p.end_s), SHORT.engines[0].phases[-1])
    return 500.0 * 1000 * (t_s - phase.start_s) if phase.name in LOADED_PHASES else 0.0


@pytest.mark.parametrize(
    ("story", "kind", "words"),
    [
        (Story(python=per_hour(3e6)), "python_leak", "native memory is flat: a leak in Python objects"),
        (Story(native=per_hour(3e6)), "native_leak", "the Python heap is flat: a leak in native code"),
        (Story(python=per_hour(2e6), native=per_hour(2e6)), "mixed_leak", "a leak in both"),
        (Story(garbage=per_hour(3e6)), "collector_backlog", "garbage that the collector has not met yet"),
        (
            Story(resident=per_hour(5e6), more={"native_free_bytes": per_hour(4e6)}),
            "fragmentation",
            "live memory is flat and malloc's free lists grow: fragmentation",
        ),
        (
            Story(resident=per_hour(5e6), more={"python_free_bytes": per_hour(4e6)}),
            "fragmentation",
            "the Python heap's free lists grow: fragmentation",
        ),
        (Story(resident=per_hour(5e6)), "private_allocator", "live memory and free lists are flat"),
        (Story(python=lambda t_s, n: 4e7 * (1 - math.exp(-t_s / 3600))), "warm_up", "grew at first and then stopped"),
        (Story(more={"threads": lambda t_s, n: 2 + t_s // 3600}), "thread_leak", "a leak of threads"),
        (Story(more={"tasks": lambda t_s, n: 2 + t_s // 300}), "task_leak", "a leak of asyncio tasks"),
        (Story(more={"fds": lambda t_s, n: 9 + t_s // 3600}), "fd_leak", "opened and not closed"),
        (Story(more={"children": lambda t_s, n: 2 + t_s // 3600}), "child_leak", "a leak of child processes"),
        (Story(more={"zombies": lambda t_s, n: t_s // 3600}), "zombie_leak", "their parent does not wait for them"),
        (
            Story(more={"children_bytes": per_hour(3e6), "child_bytes.a": flat, "child_bytes.b": per_hour(3e6)}),
            "child_growth",
            "= 0.833 B per operation: a leak in a child process (b)",
        ),
        (Story(), "flat", "flat within its limit"),
    ],
    ids=lambda value: value if isinstance(value, str) and "_" in value else "",
)
def test_a_class_is_named_in_words_by_the_signals_that_show_it(story: Story, kind: str, words: str) -> None:
    engine = judged(DAY, mine=story)["engines"][0]
    assert engine["class"] == kind
    assert words in engine["reason"]


def test_a_leak_is_told_in_the_words_of_its_part() -> None:
    reason = judged(DAY, mine=Story(native=per_hour(3e6)))["engines"][0]["reason"]
    assert reason.startswith("reachable native memory grows 3.00 MB/h [")
    assert "B per operation; the Python heap is flat: a leak in native code" in reason


@pytest.mark.parametrize(
    ("story", "kind"),
    [(Story(python=per_operation(200)), "python_leak"), (Story(native=per_operation(200)), "native_leak")],
    ids=["python", "native"],
)
def test_the_part_that_leaks_is_named_while_the_run_goes_on(story: Story, kind: str) -> None:
    assert judged(SHORT, mine=story, until_s=120, end=None, running=True)["engines"][0]["class"] == kind


def test_growth_that_comes_back_in_the_drain_phase_is_a_backlog_and_fails_all_the_same() -> None:
    engine = judged(SHORT, mine=Story(python=waits))["engines"][0]
    assert (engine["verdict"], engine["class"]) == ("FAIL", "backlog")
    assert "came back in the drain phase" in engine["reason"]


def test_growth_that_stays_through_the_drain_phase_is_none() -> None:
    assert judged(SHORT, mine=Story(python=per_operation(200)))["engines"][0]["class"] == "python_leak"


@pytest.mark.parametrize("signal", ["fds", "threads", "tasks"])
def test_a_pool_that_grew_once_and_stopped_passes(signal: str) -> None:
    verdict = judged(DAY, mine=Story(more={signal: lambda t_s, n: 100.0 if t_s > 40_000 else 2.0}))
    growth = check(verdict, "mine", f"growth.{signal}")
    assert (growth["verdict"], growth["reason"]) == ("PASS", "it rose and has stopped rising")


@pytest.mark.parametrize("per_hour_of_blocks", [0.0, 1e5])
def test_blocks_of_the_interpreter_are_shown_and_decide_nothing(per_hour_of_blocks: float) -> None:
    blocks = {"python_blocks": lambda t_s, n: 3e5 + per_hour_of_blocks * t_s / 3600}
    verdict = judged(DAY, mine=Story(more=blocks))
    growth = check(verdict, "mine", "growth.python_blocks")
    assert growth["informational"] is True
    assert growth["verdict"] == ("FAIL" if per_hour_of_blocks else "PASS")
    assert verdict["engines"][0]["verdict"] == "PASS"


def test_growth_follows_operations_or_time_where_they_part_and_either_where_they_do_not() -> None:
    def in_bursts(t_s: float) -> int:
        """Three times the rate in every second sixth of the day."""
        whole, rest = divmod(max(0.0, t_s - 600), 14_400)
        return round(100 * (4 * 14_400 * (whole // 2) + 14_400 * (whole % 2)) + (300 if whole % 2 else 100) * rest)

    limits = 'growth_rate = "1MB/h"\ntotal_growth = "off"\nreturn_to_baseline = "off"\n[supervision]'
    plan = plan_of(duration="24h", every="5min", run='controls_off = ["null", "leak"]', limits=limits)
    for story, axis in (
        (Story(python=per_operation(10), operations=in_bursts), "operations"),
        (Story(python=per_hour(5e6), operations=in_bursts), "time"),
        (Story(python=per_hour(5e6)), "either"),
    ):
        growth = check(judged(plan, mine=story), "mine", "growth.reachable_bytes")
        assert growth["explained_by"] == axis
        assert growth["per_operation_low"] <= growth["per_operation"] <= growth["per_operation_high"]
        if axis == "operations":
            assert growth["per_operation"] == pytest.approx(10, rel=0.05)
    assert "explained_by" not in check(judged(plan), "mine", "growth.reachable_bytes")
