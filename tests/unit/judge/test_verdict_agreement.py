from typing import Any

import pytest

from tests.recorded import Story, check, judged, per_operation, plan_of, with_engine

PLAN = with_engine(plan_of(), compare_ratio=0.01)
EXAMPLE = {
    "what": "disagreement", "detail": "new: true, old: false, on {\"path\": \"/records/7\"}",
    "input": {"path": "/records/7"}, "new": True, "old": False,
}  # fmt: skip


def compares(disagreements: float = 0.0, *, examples: int = 0, **more: Any) -> Story:
    """Compares one operation in a hundred; so many disagree, from the 60th second on."""
    return Story(
        more={
            "counter.compared_total": lambda t_s, operations: operations // 100,
            "counter.disagreements_total": lambda t_s, operations: disagreements if t_s >= 60 else 0.0,
        },
        incidents=[(60.0 + i, EXAMPLE) for i in range(examples)],
        **more,
    )


def agreement(story: Story, plan: Any = PLAN) -> tuple[str, dict[str, Any]]:
    verdict = judged(plan, mine=story)
    return verdict["verdict"], check(verdict, "mine", "decisions.agreement")


def test_paths_that_always_agree_pass() -> None:
    state, found = agreement(compares())
    assert (state, found["verdict"], found["estimate"], found["limit"]) == ("PASS", "PASS", 0, 0)
    assert found["compared"] == pytest.approx(1530, abs=20)
    assert found["disagreement_ratio"] == 0


def test_one_disagreement_fails_with_its_count_its_share_and_an_example() -> None:
    state, found = agreement(compares(3.0, examples=1))
    assert (state, found["verdict"], found["estimate"]) == ("FAIL", "FAIL", 3)
    assert found["reason"].startswith("3 of 1,530 compared decisions (0.00196 of them) disagree")
    assert "/records/7" in found["reason"]
    assert found["disagreement_ratio"] == pytest.approx(3 / 1530, rel=0.01)


def test_an_example_counts_where_the_counter_was_lost_with_its_process() -> None:
    assert agreement(compares(examples=2))[1]["estimate"] == 2


def test_every_life_counts() -> None:
    lives = Story(
        more={
            "counter.compared_total": lambda t_s, operations: 100.0,
            "counter.disagreements_total": lambda t_s, operations: 1.0 if t_s < 60 else 0.0,
        },
        restarts=(60.0,),
        incident_of_restart="crash",
    )
    _, found = agreement(
        lives, with_engine(plan_of(limits='growth_per_operation = "16B"\nrestarts = 1'), compare_ratio=0.5)
    )
    assert (found["verdict"], found["estimate"], found["compared"]) == ("FAIL", 1, 200)


def test_where_nothing_was_compared_nothing_is_known() -> None:
    story = Story(more=dict.fromkeys(("counter.compared_total", "counter.disagreements_total"), per_operation(0.0)))
    state, found = agreement(story)
    assert (state, found["verdict"]) == ("INCONCLUSIVE", "INCONCLUSIVE")
    assert "no decision was compared" in found["reason"]


@pytest.mark.parametrize("lost", ["counter.compared_total", "counter.disagreements_total"])
@pytest.mark.parametrize("from_s", [0.0, 100.0])
def test_counters_that_are_not_read_are_never_a_pass(lost: str, from_s: float) -> None:
    state, found = agreement(compares(silent_from_s={lost: from_s}))
    assert (state, found["verdict"]) == ("INVALID", "INVALID")


@pytest.mark.parametrize("plan", [plan_of(), with_engine(plan_of(), compare_ratio=0)], ids=["no option", "ratio 0"])
def test_an_engine_that_compares_nothing_is_not_asked(plan: Any) -> None:
    verdict = judged(plan, mine=compares())
    assert not [c for c in verdict["engines"][0]["checks"] if c["id"] == "decisions.agreement"]
