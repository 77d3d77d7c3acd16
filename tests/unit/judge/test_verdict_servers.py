import dataclasses
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema
import pytest

from soakd.live.status import RunStatus
from soakd.report.junit import junit
from soakd.report.markdown import markdown
from soakd.setup import config
from soakd.setup.plan import make_plan
from soakd.verdict.rows import rows_of
from tests.recorded import Level, ServerStory, Story, check, flat, judged, per_hour, per_operation, plan_of, with_engine
from tests.typed import typed

SCHEMA: dict[str, Any] = json.loads(
    (Path(__file__).parents[3] / "soakd" / "report" / "verdict.schema.json").read_text(encoding="utf-8")
)
SHORT = plan_of()
DAY = plan_of(duration="24h", every="2min", limits='growth_rate = "1MB/h"')
JUDGED, JUDGED_DAY = with_engine(SHORT, judge_server=True), with_engine(DAY, judge_server=True)
TWICE_A_DAY = per_hour(2e6)
LEAKS = per_operation(200)


def mine(verdict: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = verdict["engines"][0]
    return found


def of(server: ServerStory, **more: Any) -> Story:
    return Story(server=server, **more)


@pytest.mark.parametrize(
    ("plan", "leaks", "words"),
    [(JUDGED, LEAKS, "200 B per operation"), (JUDGED_DAY, TWICE_A_DAY, "2.00 MB/h")],
    ids=["per operation", "per hour"],
)
def test_a_judged_server_that_leaks_fails_and_its_client_is_said_to_be_flat(
    plan: Any, leaks: Level, words: str
) -> None:
    verdict = judged(plan, mine=of(ServerStory(live=leaks)))
    assert (verdict["verdict"], mine(verdict)["class"]) == ("FAIL", "server_leak")
    assert mine(verdict)["reason"].startswith("the server redis 7.0 grows; the server's live memory grows")
    assert words in mine(verdict)["reason"]
    assert mine(verdict)["reason"].endswith("its client is flat: a leak in the server")
    assert "mine: the server's" in verdict["summary"]
    assert verdict["summary"].endswith(("a leak in the server", "more)"))
    for signal in ("live_bytes", "rss_anon_bytes"):
        assert check(verdict, "mine", f"growth.server_{signal}")["verdict"] == "FAIL"


def test_memory_of_a_server_below_nothing_makes_the_run_invalid() -> None:
    verdict = judged(JUDGED, mine=of(ServerStory(live=lambda t_s, n: -1e9)))
    assert "unreadable readings of mine" in check(verdict, "", "evidence.records")["reason"]


@pytest.mark.parametrize(("plan", "leaks"), [(SHORT, LEAKS), (DAY, TWICE_A_DAY)], ids=["per operation", "per hour"])
def test_the_same_server_fails_nobody_where_it_is_not_judged(plan: Any, leaks: Level) -> None:
    verdict = judged(plan, mine=of(ServerStory(live=leaks)))
    assert (verdict["verdict"], mine(verdict)["verdict"]) == ("PASS", "PASS")
    assert check(verdict, "mine", "growth.server_live_bytes") | {"verdict": "FAIL", "informational": True} == check(
        verdict, "mine", "growth.server_live_bytes"
    )
    assert (mine(verdict)["servers"][0]["class"], mine(verdict)["servers"][0]["verdict"]) == ("server_leak", "FAIL")
    assert mine(verdict)["servers"][0]["informational"] is True


@pytest.mark.parametrize("plan", [JUDGED, JUDGED_DAY], ids=["per operation", "per hour"])
@pytest.mark.parametrize("read_from", ["proc", "metrics"])
def test_a_judged_server_that_does_not_leak_passes(plan: Any, read_from: str) -> None:
    story = ServerStory(read_from=read_from, resident=None if read_from == "metrics" else flat)
    verdict = judged(plan, mine=of(story))
    assert (verdict["verdict"], mine(verdict)["class"]) == ("PASS", "flat")
    assert (
        mine(verdict)["servers"][0] | {"server": "redis", "version": "7.0", "class": "flat", "verdict": "PASS"}
        == (mine(verdict)["servers"][0])
    )
    assert "informational" not in mine(verdict)["servers"][0]


def test_what_a_server_grows_is_no_growth_of_its_client_and_the_other_way_round() -> None:
    server = judged(JUDGED, mine=of(ServerStory(live=LEAKS)))
    assert check(server, "mine", "growth.rss_anon_bytes")["verdict"] == "PASS"
    assert check(server, "mine", "growth.live_bytes")["verdict"] == "PASS"
    client = judged(JUDGED, mine=of(ServerStory(), python=LEAKS))
    assert (mine(client)["class"], mine(client)["servers"][0]["class"]) == ("python_leak", "flat")
    assert check(client, "mine", "growth.server_rss_anon_bytes")["verdict"] == "PASS"
    both = judged(JUDGED, mine=of(ServerStory(live=LEAKS), python=LEAKS))
    assert (mine(both)["class"], mine(both)["servers"][0]["class"]) == ("python_leak", "server_leak")
    assert "its client is python leak" in mine(both)["servers"][0]["reason"]


def test_resident_memory_that_a_server_keeps_is_told_from_what_is_live_in_it() -> None:
    verdict = judged(JUDGED, mine=of(ServerStory(resident=LEAKS)))
    assert verdict["verdict"] == "FAIL"
    assert mine(verdict)["reason"].endswith(
        "its live memory is flat: fragmentation, or memory that the server does not give back"
    )
    unsaid = judged(JUDGED, mine=of(ServerStory(live=None, resident=LEAKS)))
    assert mine(unsaid)["reason"].endswith("a leak in the server, or memory that it does not give back")


def test_a_redis_that_its_client_fills_below_its_capacity_is_no_leak_yet() -> None:
    filling = Story(
        server=ServerStory(live=per_operation(100)),
        more={"counter.entries": lambda t_s, operations: 1000 + operations / 2},
        declared={"capacity_entries": 1e6, "bytes_per_entry": 200.0},
    )
    verdict = judged(JUDGED, mine=filling)
    assert (verdict["verdict"], mine(verdict)["servers"][0]["class"]) == ("INCONCLUSIVE", "cache_filling")
    excused = judged(JUDGED, mine=dataclasses.replace(filling, python=per_operation(100)))
    assert check(excused, "mine", "growth.reachable_bytes")["verdict"] == "FAIL", "entries are in the server"


@pytest.mark.parametrize(
    ("server", "words"),
    [
        (None, "nothing was recorded of the server"),
        (ServerStory(silent_from_s=80.0), "longest gap"),
        (ServerStory(resident=None, live=None), "rss_anon_bytes: 0 of"),
        (ServerStory(resident=None), "rss_anon_bytes: 0 of"),
        (ServerStory(read_from="metrics", live=None), "live_bytes: 0 of"),
        (ServerStory(begins_told=False), "samples of life 0, whose begin was not recorded"),
        (ServerStory(outages=((80.0, 1.0),), incident_of_outage=None), "life 0 ended and no incident says why"),
        (
            ServerStory(outages=((80.0, 1.0),), incident_of_outage=None, restart_told=True),
            "life 0 ended and no incident says why",
        ),
    ],
    ids=["no server", "gap", "no numbers", "no resident memory", "no live bytes", "no begin", "no end", "only again"],
)
def test_missing_evidence_of_a_judged_server_is_never_a_pass(server: ServerStory | None, words: str) -> None:
    verdict = judged(JUDGED, mine=Story(server=server))
    assert verdict["verdict"] == "INVALID"
    assert words in check(verdict, "mine", "evidence.server")["reason"]
    assert judged(SHORT, mine=Story(server=server))["verdict"] == "PASS"


def test_a_server_of_somebodys_own_that_they_started_again_is_no_missing_evidence() -> None:
    theirs = ServerStory(outages=((80.0, 1.0),), incident_of_outage=None, restart_told=True, backend="url")
    verdict = judged(JUDGED, mine=Story(server=theirs))
    assert check(verdict, "mine", "evidence.server")["verdict"] == "PASS"
    assert mine(verdict)["servers"][0]["segments"][0]["ended_by"] == "server_restart"
    assert check(verdict, "mine", "stability.server")["estimate"] == 0


def test_a_server_that_crashed_fails_where_it_is_judged_and_nobody_where_it_is_not() -> None:
    crashed = of(ServerStory(outages=((80.0, 2.0),)))
    verdict = judged(JUDGED, mine=crashed)
    stability = check(verdict, "mine", "stability.server")
    assert (verdict["verdict"], stability["estimate"], stability["reason"]) == ("FAIL", 1, "ended by SIGKILL")
    assert mine(verdict)["servers"][0]["segments"][0]["ended_by"] == "server_crash"
    unjudged = judged(SHORT, mine=crashed)
    assert (unjudged["verdict"], check(unjudged, "mine", "stability.server")["informational"]) == ("PASS", True)
    assert check(unjudged, "mine", "stability.crashes")["estimate"] == 0


def test_a_leak_goes_on_through_the_lives_of_a_server() -> None:
    born = [0.0, 60.0, 110.0]

    def since_birth(t_s: float, operations: float) -> float:
        return 2e5 * (t_s - max(at_s for at_s in born if at_s <= t_s))

    server = ServerStory(live=since_birth, outages=tuple((at_s - 1.0, 1.0) for at_s in born[1:]))
    verdict = judged(JUDGED, mine=of(server))
    growth = check(verdict, "mine", "growth.server_live_bytes")
    assert growth["verdict"] == "FAIL"
    assert growth["low"] <= 200.0 <= growth["high"]


def test_an_option_of_that_name_of_somebodys_own_engine_asks_for_no_server() -> None:
    verdict = judged(plan_of(), mine=Story())
    assert "servers" not in mine(verdict)
    assert not [c for c in mine(verdict)["checks"] if "server" in c["id"]]


@pytest.mark.parametrize("running", [False, True])
@pytest.mark.parametrize("server", [ServerStory(), ServerStory(live=LEAKS, outages=((60.0, 2.0), (90.0, None)))])
def test_servers_keep_to_the_schema(server: ServerStory, *, running: bool) -> None:
    verdict = judged(JUDGED, mine=of(server), running=running, until_s=150.0 if running else None)
    jsonschema.validate(json.loads(json.dumps(verdict, allow_nan=False)), SCHEMA)
    assert mine(verdict)["verdict"] == ("INCOMPLETE" if running else mine(verdict)["verdict"])


def test_pipelines_and_checklists_read_the_same_of_a_server() -> None:
    story = of(ServerStory(live=LEAKS))
    unjudged, decided = judged(SHORT, mine=story), judged(JUDGED, mine=story)
    case = 'name="growth.server_live_bytes">\n      <'
    assert f"{case}skipped" in junit(typed(unjudged))
    assert f"{case}failure" in junit(typed(decided))
    assert "Server: **FAIL** (informational). the server redis 7.0 grows;" in markdown(typed(unjudged))
    assert "Server: **FAIL** (judged). the server redis 7.0 grows;" in markdown(typed(decided))


def test_an_explicit_judge_server_decides_whatever_the_role_and_the_client_of_a_rival_does_not() -> None:
    plan = with_engine(SHORT, role="rival", judge_server=True)
    leaking = judged(plan, mine=of(ServerStory(live=LEAKS)))
    assert leaking["verdict"] == "FAIL"
    assert "mine: the server's" in leaking["summary"]
    client = judged(plan, mine=of(ServerStory(), python=LEAKS))
    assert client["verdict"] == "PASS"
    assert "in the server of mine over" in client["summary"]
    assert check(client, "mine", "growth.reachable_bytes")["verdict"] == "FAIL"
    assert client["visibility"][0].startswith("the server of mine: a leak of")


def test_a_judged_server_of_a_rival_that_was_not_recorded_is_no_pass() -> None:
    verdict = judged(with_engine(SHORT, role="rival", judge_server=True))
    assert verdict["verdict"] == "INVALID"
    assert "mine: evidence.server" in verdict["summary"]


def test_a_rival_whose_server_is_not_judged_leaves_nothing_judged() -> None:
    verdict = judged(with_engine(SHORT, role="rival", judge_server=False), mine=of(ServerStory(live=LEAKS)))
    assert verdict["verdict"] == "INCONCLUSIVE"
    assert "no subject was judged" in verdict["summary"]


def test_the_leak_control_leaks_by_the_limits_of_a_judged_server_of_a_rival() -> None:
    text = """
        [run]
        duration = "3min"
        sample_every = "1s"
        [[engine]]
        name = "cache"
        kind = "cache.redis"
        options = {{ judge_server = {judged} }}
        [engine.limits]
        growth_per_operation = "8B"
        [[engine]]
        name = "mine"
        kind = "cache.native"
        [engine.limits]
        growth_per_operation = "16B"
    """
    for judged_server, leaks in (("true", 16.0), ("false", 32.0)):
        plan = make_plan(config.parse(text.format(judged=judged_server), source="made-up.toml", folder=Path.cwd()))
        control = next(e for e in plan.engines if e.config.kind == "control.leak")
        assert control.options["bytes_per_operation"] == leaks


def test_every_reader_of_a_verdict_knows_that_the_server_of_a_rival_decides() -> None:
    plan = with_engine(SHORT, role="rival", judge_server=True)
    verdict = judged(plan, mine=of(ServerStory(live=LEAKS), python=LEAKS))
    rows = {row.id: row for row in rows_of(typed(verdict)) if row.engine == "mine"}
    assert (rows["growth.server_live_bytes"].decides, rows["growth.server_live_bytes"].informational) == (True, False)
    assert (rows["growth.reachable_bytes"].decides, rows["growth.reachable_bytes"].informational) == (False, True)
    cases = {
        case.get("name"): case.find("failure") is not None
        for case in ET.fromstring(junit(typed(verdict))).iter("testcase")
        if case.get("classname") == "soakd.mine"
    }
    assert (cases["growth.server_live_bytes"], cases["growth.reachable_bytes"]) == (True, False)
    status = RunStatus(plan, "made-up")
    status.apply_verdict(typed(verdict | {"verdict": "INCOMPLETE"}))
    assert status.state_so_far == "FAIL"
    status = RunStatus(plan, "made-up")
    clean = judged(plan, mine=of(ServerStory(), python=LEAKS))
    status.apply_verdict(typed(clean | {"verdict": "INCOMPLETE"}))
    assert status.state_so_far == "PASS"
