"""What a server may and may not do to the verdict of the engine that talks to it."""

import json
import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from soakd.wire.records import Record
from tests.recorded import (
    ServerStory,
    Story,
    flat,
    judged,
    made_up,
    per_operation,
    plan_of,
    remade,
    verdict_of,
    with_engine,
)

LIMIT = 16.0
ALONE = plan_of(run='controls_off = ["null", "leak"]')
JUDGED = with_engine(ALONE, judge_server=True)
QUICK = settings(max_examples=8, deadline=None)
KINDS = st.sampled_from(("redis", "opa"))
NOISES = st.sampled_from((0.0, 3e3, 3e4))
OUTAGES = st.sampled_from(((), ((70.0, 2.0),)))


def engine(verdict: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = verdict["engines"][0]
    return found


@QUICK
@given(st.sampled_from((2.0, 5.0, 50.0, 1000.0)), KINDS, NOISES)
def test_a_server_that_leaks_fails_where_it_is_judged_and_nobody_where_it_is_not(
    times: float, kind: str, noise: float
) -> None:
    story = Story(server=ServerStory(kind=kind, live=per_operation(times * LIMIT), noise_bytes=noise))
    verdict = judged(JUDGED, mine=story)
    assert (engine(verdict)["verdict"], engine(verdict)["class"]) == ("FAIL", "server_leak")
    assert verdict["verdict"] == "FAIL"
    assert engine(judged(ALONE, mine=story))["verdict"] == "PASS"


@QUICK
@given(KINDS, NOISES)
def test_a_server_that_does_not_leak_passes(kind: str, noise: float) -> None:
    story = Story(server=ServerStory(kind=kind, noise_bytes=noise))
    assert engine(judged(JUDGED, mine=story))["verdict"] == "PASS"


@QUICK
@given(KINDS, OUTAGES, st.randoms(use_true_random=False))
def test_neither_the_order_of_a_servers_records_nor_one_twice_matters(
    kind: str, outages: tuple[tuple[float, float], ...], chance: random.Random
) -> None:
    story = Story(server=ServerStory(kind=kind, live=per_operation(8.0), outages=outages))
    records = made_up(JUDGED, {"mine": story})
    shuffled = records + chance.sample(records, len(records) // 3)
    chance.shuffle(shuffled)
    assert verdict_of(JUDGED, shuffled) == verdict_of(JUDGED, records)


@QUICK
@given(
    st.sampled_from(("live_bytes", "rss_anon_bytes")),
    st.sampled_from((None, "x", float("nan"), float("-inf"), 1e308, True, [], {})),
)
def test_nonsense_in_a_sample_of_a_server_raises_nothing_and_passes_nothing(signal: str, value: Any) -> None:
    records = made_up(JUDGED, {"mine": Story(server=ServerStory())})
    at = next(i for i, r in enumerate(records) if r.body.get("source") == "server" and r.at.mono_s > 4070)
    records[at] = remade(records[at], body={**records[at].body, signal: value})
    verdict = verdict_of(JUDGED, records)
    json.dumps(verdict, allow_nan=False)
    assert next(c for c in verdict["checks"] if c["id"] == "evidence.records")["verdict"] == "INVALID"


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_nonsense_in_what_is_told_of_a_server_raises_nothing(data: st.DataObject) -> None:
    server = ServerStory(outages=((50.0, 2.0), (90.0, None)), gives_up=data.draw(st.booleans()))
    records = made_up(JUDGED, {"mine": Story(server=server)})
    rows = [i for i, r in enumerate(records) if r.kind == "server" or str(r.body.get("what")).startswith("server_")]
    at = data.draw(st.sampled_from(rows))
    nonsense: Any = data.draw(st.sampled_from((None, "x", float("nan"), 1e308, -1, True, [], {})))
    name = data.draw(st.sampled_from(("pid", "server", "recovery_s", "version", "read_from", "detail", "status")))
    records[at] = remade(records[at], body={**records[at].body, name: nonsense})
    verdict = verdict_of(JUDGED, records)
    json.dumps(verdict, allow_nan=False)
    assert verdict["verdict"] != "PASS"


@QUICK
@given(st.sampled_from(("samples", "lives", "one life", "incidents", "recoveries", "everything")))
def test_what_is_missing_of_a_judged_server_is_never_a_pass(lost: str) -> None:
    def lose(record: Record) -> Record | None:
        sample = record.body.get("source") == "server"
        told = str(record.body.get("what", ""))
        gone = {
            "samples": sample, "lives": record.kind == "server",
            "one life": record.kind == "server" and record.segment == 1, "incidents": told.startswith("server_"),
            "recoveries": told == "server_recovered",
            "everything": sample or record.kind == "server" or told.startswith("server_"),
        }  # fmt: skip
        return None if gone[lost] else record

    story = Story(server=ServerStory(resident=flat, outages=((70.0, 1.0),)))
    plan = with_engine(plan_of(limits='growth_per_operation = "16B"\nrestarts = 2'), judge_server=True)
    assert engine(judged(plan, mine=story))["verdict"] == "PASS"
    assert engine(judged(plan, mine=story, change=lose))["verdict"] in ("INVALID", "FAIL")
