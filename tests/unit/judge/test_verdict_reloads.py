import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from soakd.judge.checks.reloads import at_reloads
from soakd.judge.story.rundata import EMPTY, Series
from tests.recorded import Level, ServerStory, Story, check, judged, per_operation, plan_of, with_engine

SCHEMA: dict[str, Any] = json.loads(
    (Path(__file__).parents[3] / "soakd" / "report" / "verdict.schema.json").read_text(encoding="utf-8")
)
EVERY_S = 8.0
PLAN = with_engine(plan_of(), judge_server=True)
AT, BETWEEN = "at reloads", "between reloads and not at them"


def reloads(t_s: float, operations: float) -> float:
    return t_s // EVERY_S


def per_reload(count: float) -> Level:
    return lambda t_s, operations: count * reloads(t_s, operations)


def reloading(*, native: Level) -> Story:
    return Story(native=native, more={"counter.reloads_total": reloads}, server=ServerStory())


def mine(verdict: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = verdict["engines"][0]
    return found


def test_a_leak_per_reload_is_told_with_its_bytes() -> None:
    verdict = judged(PLAN, mine=reloading(native=per_reload(400e3)))
    growth = check(verdict, "mine", "growth.reachable_bytes")
    assert (verdict["verdict"], mine(verdict)["class"], growth["explained_by"]) == ("FAIL", "native_leak", "reloads")
    assert growth["per_reload_low"] <= 400e3 <= growth["per_reload_high"]
    assert re.search(r"at reloads: (39|40)\d kB per reload; the Python heap", mine(verdict)["reason"])
    assert "kB per reload" in verdict["summary"]
    jsonschema.validate(json.loads(json.dumps(verdict, allow_nan=False)), SCHEMA)


def test_a_leak_per_request_beside_reloads_is_told_too() -> None:
    verdict = judged(PLAN, mine=reloading(native=per_operation(50)))
    growth = check(verdict, "mine", "growth.reachable_bytes")
    assert (growth["between_reloads"], growth["explained_by"]) == (True, "either")
    assert "per_reload" not in growth
    assert BETWEEN in mine(verdict)["reason"]


def test_the_same_is_said_of_a_server() -> None:
    server = ServerStory(kind="opa", live=per_reload(400e3))
    verdict = judged(PLAN, mine=Story(server=server, more={"counter.reloads_total": reloads}))
    assert check(verdict, "mine", "growth.server_live_bytes")["per_reload"] == pytest.approx(400e3, rel=0.1)
    assert "the server's live memory grows" in mine(verdict)["reason"]
    assert AT in mine(verdict)["reason"]


@pytest.mark.parametrize(
    ("leak", "counter"),
    [
        (per_operation(50), None),
        (per_operation(50), lambda t_s, operations: t_s // 2),
        (lambda t_s, operations: 25 * operations + 200e3 * reloads(t_s, operations), reloads),
        (per_operation(50), lambda t_s, operations: t_s // 40),
    ],
    ids=["no reloads", "reloads as often as samples", "both", "few reloads"],
)
def test_where_it_cannot_be_told_nothing_is_said(leak: Level, counter: Level | None) -> None:
    more = {} if counter is None else {"counter.reloads_total": counter}
    verdict = judged(PLAN, mine=Story(native=leak, more=more, server=ServerStory()))
    growth = check(verdict, "mine", "growth.reachable_bytes")
    assert (growth["verdict"], growth["explained_by"]) == ("FAIL", "either")
    assert not {"per_reload", "between_reloads", "reloads"} & set(growth)
    assert "reload" not in mine(verdict)["reason"]


def test_nothing_is_said_of_what_does_not_grow() -> None:
    verdict = judged(PLAN, mine=Story(more={"counter.reloads_total": reloads}, server=ServerStory()))
    assert verdict["verdict"] == "PASS"
    assert not [c for c in mine(verdict)["checks"] if "reloads" in c]


def day(
    seed: int,
    *,
    per_hour: float = 0.0,
    at_reload: float = 0.0,
    noise: float = 40e3,
    every_s: float = 60.0,
    swing: float = 0.0,
) -> tuple[Series, Series]:
    """18 hours with a reload every 5 min: a signal with noise that remembers 10 min, and the counter."""
    rng = np.random.default_rng(seed)
    counted_s, t_s = np.arange(0.0, 18 * 3600, 10.0), np.arange(0.0, 18 * 3600, every_s)
    rho, innovations = np.exp(-every_s / 600.0), rng.normal(size=len(t_s))
    wander = np.empty(len(t_s))
    wander[0] = innovations[0]
    for i in range(1, len(t_s)):
        wander[i] = rho * wander[i - 1] + np.sqrt(1 - rho**2) * innovations[i]
    y = per_hour * t_s / 3600 + at_reload * (t_s // 300) + noise * wander + swing * np.exp(-(t_s % 300) / 30)
    life = np.zeros(len(t_s), dtype=np.int64)
    return Series(t_s, y, life), Series(counted_s, counted_s // 300, np.zeros(len(counted_s), dtype=np.int64))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ({"at_reload": 12e3, "noise": 6e3}, True),
        ({"per_hour": 144e3, "noise": 6e3}, False),
        ({"at_reload": 100e3}, True),
        ({"per_hour": 1.2e6}, False),
        ({"at_reload": 100e3, "every_s": 10.0}, True),
        ({"per_hour": 1.2e6, "every_s": 10.0}, False),
        ({"at_reload": 1e6, "noise": 400e3}, True),
        ({"per_hour": 12e6, "noise": 400e3}, False),
        ({"at_reload": 100e3, "noise": 400e3}, None),
        ({"per_hour": 1.2e6, "noise": 400e3}, None),
        ({"per_hour": 1.2e6, "at_reload": 100e3}, None),
        ({"per_hour": 1.2e6, "swing": 1e6}, None),
    ],
)
def test_steps_are_told_from_slopes_and_neither_from_too_much_noise(
    kind: dict[str, float], answer: bool | None, seed: int
) -> None:
    found = at_reloads(*day(seed, **kind))
    assert found is not None
    assert found.explains is answer
    assert found == at_reloads(*day(seed, **kind)), "the same every time"


def test_without_a_counter_or_a_series_there_is_no_answer() -> None:
    series, counter = day(1, at_reload=1e6)
    assert at_reloads(series, EMPTY) is None
    assert at_reloads(EMPTY, counter) is None
