"""What the forked copy has before it collects: garbage is in it, what a hook released at the fork is not."""

import math

import pytest

from soakd.wire.records import Record
from tests.recorded import MONO_S, Level, Story, check, flat, judged, per_hour, plan_of, remade

DAY = plan_of(
    duration="24h", every="5min", run='controls_off = ["null", "leak"]\ncollect_every = "5min"',
    limits='growth_rate = "1MB/h"\ntotal_growth = "off"\nreturn_to_baseline = "off"',
)  # fmt: skip


def engine(garbage: Level, copied: Level | None, **how: float) -> Story:
    """Live bytes that are not in the count, and what the copies have of them."""
    more = {} if copied is None else {"reachable_copied_bytes": lambda t_s, n: 3e7 + copied(t_s, n)}
    return Story(garbage=garbage, more=more, **how)  # type: ignore[arg-type]


def test_garbage_that_the_copy_has_too_is_told_as_garbage() -> None:
    verdict = judged(DAY, mine=engine(per_hour(3e6), per_hour(3e6)))
    assert check(verdict, "mine", "growth.reachable_bytes")["verdict"] == "PASS"
    assert verdict["engines"][0]["class"] == "collector_backlog"


def test_what_a_hook_released_at_the_fork_is_never_garbage_and_no_pass() -> None:
    verdict = judged(DAY, mine=engine(per_hour(3e6), flat))
    found, [mine] = check(verdict, "mine", "growth.reachable_bytes"), verdict["engines"]
    assert found["verdict"] == "INCONCLUSIVE"
    assert "released at the fork" in found["reason"]
    assert check(verdict, "mine", "growth.rss_anon_bytes")["verdict"] == "FAIL"
    assert (mine["verdict"], mine["class"]) == ("FAIL", "undecided")
    assert "garbage" not in mine["reason"]


@pytest.mark.parametrize("copied", [None, flat, lambda t_s, n: -1e7])
def test_a_copy_that_lets_go_of_the_same_each_time_hides_nothing(copied: Level | None) -> None:
    assert judged(DAY, mine=engine(flat, copied))["engines"][0]["verdict"] == "PASS"


def test_journals_without_the_copies_bytes_are_judged_as_before() -> None:
    assert judged(DAY, mine=engine(per_hour(3e6), None))["engines"][0]["class"] == "collector_backlog"


def test_live_bytes_that_swing_between_two_readings_of_the_copy_are_no_disagreement() -> None:
    def sawtooth(t_s: float, operations: float) -> float:
        return 4e7 * ((t_s % 4321) / 4321)

    verdict = judged(DAY, mine=engine(sawtooth, sawtooth))
    assert check(verdict, "mine", "growth.reachable_bytes")["verdict"] == "PASS"


def test_a_warm_up_before_the_first_copy_is_no_disagreement() -> None:
    load = DAY.engines[0].load
    begun_s = load.start_s + 0.25 * load.duration_s

    def warm_up(t_s: float, operations: float) -> float:
        return 8e7 * (1 - math.exp(-max(0.0, t_s - load.start_s) / 5000))

    def late(record: Record) -> Record:
        if record.engine != "mine" or record.kind != "sample" or record.at.mono_s - MONO_S >= begun_s:
            return record
        return remade(record, body={k: v for k, v in record.body.items() if k != "reachable_copied_bytes"})

    story = Story(python=warm_up, more={"reachable_copied_bytes": lambda t_s, n: 3e7 + warm_up(t_s, n)})
    assert check(judged(DAY, mine=story, change=late), "mine", "growth.reachable_bytes")["verdict"] == "PASS"
