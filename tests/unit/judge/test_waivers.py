"""Known leaks: what a waiver covers, what it does not, and what is said of it."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema
import pytest

from soakd.daemon.preflight import outlook
from soakd.errors import ConfigError
from soakd.judge.conclude.verdict import make_verdict
from soakd.judge.story.assemble import assemble
from soakd.live.terminal.sites import site_lines
from soakd.report.junit import junit
from soakd.report.markdown import markdown
from soakd.setup import config
from soakd.setup.plan import Plan, make_plan
from soakd.setup.plan_json import plan_as_dict, plan_from_dict
from soakd.setup.settings import Waiver
from soakd.setup.waivers import read_waivers
from soakd.wire.records import Record, make_record
from tests.recorded import (
    Level,
    Story,
    check,
    flat,
    made_up,
    per_hour,
    per_operation,
    plan_of,
    remade,
    stamp,
    verdict_of,
)
from tests.typed import typed
from tests.unit.judge.test_verdict_schema import SCHEMA
from tests.unit.report.test_diff import look

PRINT, OTHER = "e345071be9adbf27", "66da3c3229556c5f"
ENDS = "2027-01-15"
"""The day on which a made-up run ends, UTC."""
PLAN = plan_of()
GROWTH = ("growth.reachable_bytes", "growth.rss_anon_bytes")


def waiver(**fields: Any) -> Waiver:
    given = {"name": "known", "reason": "msgpack keeps what it unpacks", "expires": "2027-06-30", **fields}
    return Waiver(**given)


BY_SITE = waiver(fingerprint=PRINT)
BY_CHECK = waiver(engine="mine", checks=GROWTH, at_most=120.0, at_most_unit="bytes/operation")


def with_waivers(plan: Plan, *waivers: Waiver) -> Plan:
    return dataclasses.replace(plan, config=dataclasses.replace(plan.config, waivers=waivers))


def packages(*found: dict[str, str], engine: str = "mine") -> list[Record]:
    return [
        make_record("phase", engine="", segment=0, at=stamp(float(n)),
               body={"name": "packages", "environments": [{"engines": [engine], "packages": each}]})
        for n, each in enumerate(found)
    ]  # fmt: skip


def judged(
    *waivers: Waiver, grows: Level = flat, sites: tuple[tuple[str, float], ...] = ((PRINT, 98.0),),
    records: list[Record] | None = None, plan: Plan = PLAN, **how: Any,
) -> dict[str, Any]:  # fmt: skip
    plan = with_waivers(plan, *waivers)
    story = {"mine": Story(python=grows)}
    made = [*made_up(plan, story, **how), *([look(*sites)] if sites else []), *(records or [])]
    return make_verdict(assemble(plan, made), {"run_id": "r"}, running=False).as_dict()


LEAK = per_operation(100)


def test_a_known_leak_is_shown_as_known_and_does_not_fail_the_run() -> None:
    assert judged(grows=LEAK)["verdict"] == "FAIL"
    verdict = judged(BY_SITE, grows=LEAK)
    assert verdict["verdict"] == "PASS"
    for name in GROWTH:
        found = check(verdict, "mine", name)
        assert (found["verdict"], found["informational"], found["waived"]) == ("FAIL", True, ["known"])
        assert found["estimate"] == pytest.approx(100, rel=0.02)
        assert "waived until 2027-06-30: msgpack keeps what it unpacks (known)" in found["reason"]
    mine = next(engine for engine in verdict["engines"] if engine["name"] == "mine")
    assert [site["known"] for site in mine["attribution"]] == ["known"]
    (fate,) = verdict["waivers"]
    assert (fate["state"], [each["check"] for each in fate["covers"]]) == ("used", list(GROWTH))


def test_it_is_said_in_the_sentence_the_markdown_junit_and_at_the_end_of_a_run() -> None:
    verdict = judged(BY_SITE, waiver(name="old", fingerprint=OTHER, expires="2026-12-31"), grows=LEAK)
    assert verdict["summary"].startswith("no leak, crash or breach of a limit that is not known in mine over 3min")
    assert "known and waived: mine: growth.reachable_bytes, growth.rss_anon_bytes (msgpack" in verdict["summary"]
    assert any("is waived up to 114 B/op" in line for line in verdict["visibility"])
    text = markdown(typed(verdict))
    assert "| growth.reachable\\_bytes (known) | **FAIL** |" in text
    assert "| old | expired | - | msgpack keeps what it unpacks | 2026-12-31 | no site of this fingerprint" in text
    suites = ET.fromstring(junit(typed(verdict)))
    case = suites.find("testsuite[@name='mine']/testcase[@name='growth.reachable_bytes']/skipped")
    assert case is not None
    assert "waived until 2027-06-30" in case.get("message", "")
    own = suites.find("testsuite[@name='waivers']")
    assert own is not None
    assert (own.get("tests"), own.get("skipped"), suites.get("failures")) == ("2", "1", "0")
    lines = list(site_lines(typed(verdict)))
    assert any(line.endswith("known: known") for line in lines)
    assert any(line.startswith("waiver old is expired: no site of this fingerprint was named") for line in lines)
    jsonschema.validate(json.loads(json.dumps(verdict)), SCHEMA)


@pytest.mark.parametrize(
    ("entry", "grows", "sites", "why"),
    [
        (BY_CHECK, 140.0, (), "are listed"),
        (BY_SITE, 140.0, ((PRINT, 98.0),), "at_most lists more"),
        (BY_SITE, 140.0, ((PRINT, 98.0), (OTHER, 41.0)), f"it also grows at shop.py:10 in {OTHER}"),
        (waiver(fingerprint=PRINT, at_most=110.0, at_most_unit="bytes/operation"), 140.0, ((PRINT, 139.0),), "listed"),
        (waiver(engine="mine", checks=GROWTH, at_most=5.0, at_most_unit="count"), 100.0, (), "not in a unit"),
    ],
)
def test_growth_beyond_what_is_listed_still_fails_and_the_check_says_why(
    entry: Waiver, grows: float, sites: tuple[tuple[str, float], ...], why: str
) -> None:
    verdict = judged(entry, grows=per_operation(grows), sites=sites)
    assert verdict["verdict"] == "FAIL"
    reason = check(verdict, "mine", "growth.reachable_bytes")["reason"]
    assert "not waived: " in reason
    assert why in reason
    (fate,) = verdict["waivers"]
    assert fate["state"] == "exceeded"


def test_with_at_most_a_site_may_be_measured_roughly() -> None:
    entry = waiver(fingerprint=PRINT, at_most=150.0, at_most_unit="bytes/operation")
    assert judged(entry, grows=LEAK, sites=((PRINT, 60.0),))["verdict"] == "PASS"
    assert judged(BY_SITE, grows=LEAK, sites=((PRINT, 60.0),))["verdict"] == "FAIL"


def test_two_known_leaks_add_up_and_a_container_is_not_counted_beside_the_line_that_fills_it() -> None:
    both = BY_SITE, waiver(name="second", fingerprint=OTHER)
    assert judged(*both, grows=per_operation(150), sites=((PRINT, 98.0), (OTHER, 50.0)))["verdict"] == "PASS"
    found = look((PRINT, 98.0), (OTHER, 97.0))
    line, container = found.body["sites"]
    records = [remade(found, body={**found.body, "sites": [line, {**container, "tool": "holders"}]})]
    verdict = judged(*both, grows=per_operation(150), sites=(), records=records)
    assert "114 B/op are listed" in check(verdict, "mine", "growth.reachable_bytes")["reason"]


def test_a_leak_of_an_engine_is_known_up_to_a_rate_in_the_unit_of_each_check() -> None:
    day = plan_of(duration="24h", every="2min", limits='growth_rate = "1MB/h"\ntotal_growth = "10MB"')
    checks = (*GROWTH, "total_growth.reachable_bytes", "return_to_baseline")
    entry = waiver(engine="mine", checks=checks, at_most=3e6, at_most_unit="bytes/hour")
    verdict = judged(entry, grows=per_hour(2.5e6), plan=day, sites=())
    assert verdict["verdict"] == "PASS"
    assert {each["check"] for each in verdict["waivers"][0]["covers"]} == set(checks)
    assert judged(entry, grows=per_hour(3.5e6), plan=day, sites=())["verdict"] == "FAIL"
    rate = dataclasses.replace(entry, at_most=3e6 / 3.6e6, at_most_unit="bytes/operation")  # of 1,000 a second
    assert judged(rate, grows=per_hour(2.5e6), plan=day, sites=())["verdict"] == "PASS"


def test_a_waiver_of_one_check_leaves_the_others() -> None:
    entry = dataclasses.replace(BY_CHECK, checks=GROWTH[:1])
    verdict = judged(entry, grows=LEAK, sites=())
    assert verdict["verdict"] == "FAIL"
    assert "waived" in check(verdict, "mine", GROWTH[0])
    assert "waived" not in check(verdict, "mine", GROWTH[1])
    assert "known and waived" in verdict["summary"]


def test_an_expired_waiver_waives_nothing_and_the_day_is_that_of_the_runs_end() -> None:
    assert judged(dataclasses.replace(BY_SITE, expires=ENDS), grows=LEAK)["verdict"] == "PASS"
    verdict = judged(dataclasses.replace(BY_SITE, expires="2027-01-14"), grows=LEAK)
    assert verdict["verdict"] == "FAIL"
    assert verdict["waivers"][0]["state"] == "expired"
    assert "waiver known: it expired on 2027-01-14" in check(verdict, "mine", "growth.reachable_bytes")["reason"]


MSGPACK = waiver(fingerprint=PRINT, package="Msgpack", versions=">=1.2,<1.3")


@pytest.mark.parametrize(
    ("found", "state", "why"),
    [
        (({"msgpack": "1.2.2"},), "PASS", None),
        (({"msgpack": "1.2.2"}, {"msgpack": "1.2.3"}), "PASS", None),
        (({"msgpack": "1.3.0"},), "FAIL", "mine has Msgpack 1.3.0, it holds for >=1.2,<1.3"),
        (({"msgpack": "1.2.2"}, {"msgpack": "1.3.0"}), "FAIL", "mine has Msgpack 1.3.0"),
        (({"ujson": "5.0"},), "FAIL", "no Msgpack was found in the environment of mine"),
        ((), "FAIL", "the packages of mine were not recorded"),
    ],
)
def test_a_waiver_holds_for_the_releases_that_it_names(
    found: tuple[dict[str, str], ...], state: str, why: str | None
) -> None:
    verdict = judged(MSGPACK, grows=LEAK, records=packages(*found))
    assert verdict["verdict"] == state
    assert (why is None) == ("why" not in verdict["waivers"][0])
    assert why is None or why in verdict["waivers"][0]["why"]


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        (BY_SITE, "no site of this fingerprint was named"),
        (BY_CHECK, "none of its checks failed"),
        (dataclasses.replace(BY_CHECK, engine="other"), 'no engine "other" in this run'),
    ],
)
def test_an_entry_that_is_of_no_use_is_said(entry: Waiver, why: str) -> None:
    verdict = judged(entry, sites=())
    assert verdict["verdict"] == "PASS"
    assert (verdict["waivers"][0]["state"], verdict["waivers"][0]["why"]) == ("unused", why)
    assert "known" not in verdict["summary"]


def test_a_fingerprint_is_not_known_where_no_look_named_it() -> None:
    failed = look(state="failed")
    verdict = judged(BY_SITE, grows=LEAK, sites=(), records=[failed])
    assert verdict["verdict"] == "FAIL"
    assert "a deep look at mine failed" in verdict["waivers"][0]["why"]


def silent(record: Record) -> Record | None:
    return record if record.kind != "sample" or record.at.mono_s < stamp(60.0).mono_s else None


@pytest.mark.parametrize(
    ("how", "state"),
    [
        ({"until_s": 60.0, "end": "interrupted"}, "INCONCLUSIVE"),
        ({"end": None}, "INCOMPLETE"),
    ],
)
def test_missing_evidence_is_never_waived(how: dict[str, Any], state: str) -> None:
    wide = waiver(engine="mine", checks=("growth.", *GROWTH), at_most=1e9, at_most_unit="bytes/operation")
    assert judged(wide, BY_SITE, grows=LEAK, **how)["verdict"] == state


def test_a_dead_probe_and_a_control_that_leaks_are_never_waived() -> None:
    wide = [
        waiver(name=name, engine=name, checks=GROWTH, at_most=1e9, at_most_unit="bytes/operation")
        for name in ("mine", "control-null")
    ]
    plan = with_waivers(PLAN, *wide)
    records = [r for r in made_up(plan, {"mine": Story(python=LEAK)}) if silent(r)]
    assert verdict_of(plan, records)["verdict"] not in ("PASS", "FAIL")
    null = made_up(plan, {"control-null": Story(python=LEAK)})
    assert verdict_of(plan, null)["verdict"] == "INVALID"


def test_a_run_that_goes_on_shows_what_is_waived_so_far() -> None:
    plan = with_waivers(PLAN, BY_CHECK)
    records = made_up(plan, {"mine": Story(python=LEAK)}, until_s=100.0, end=None)
    found = check(verdict_of(plan, records, running=True), "mine", GROWTH[0])
    assert (found["verdict"], found["so_far"], found["waived"]) == ("INCOMPLETE", "FAIL", ["known"])


def test_the_plan_in_the_journal_has_the_waivers() -> None:
    plan = with_waivers(PLAN, BY_SITE, BY_CHECK, MSGPACK)
    assert plan_from_dict(json.loads(json.dumps(plan_as_dict(plan)))) == plan
    older = plan_as_dict(PLAN)
    del older["config"]["waivers"]
    assert plan_from_dict(older).config.waivers == ()


FILE = """
[[waiver]]
fingerprint = "e345071be9adbf27"
reason = "known since March"
expires = 2027-03-31

[[waiver]]
name = "msgpack"
engine = "mine"
check = ["growth.reachable_bytes", "total_growth.reachable_bytes"]
package = "msgpack"
versions = ">=1.2,<1.3"
at_most = "48MB/d"
reason = "issue 12"
expires = 2027-06-30
"""
CONFIG = """
[run]
duration = "3min"
sample_every = "1s"
waivers = "known/waivers.toml"
[[engine]]
name = "mine"
kind = "control.null"
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "known" / "waivers.toml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_a_configuration_names_its_waivers_relative_to_itself(tmp_path: Path) -> None:
    written(tmp_path, FILE)
    first, second = config.parse(CONFIG, source="soak.toml", folder=tmp_path).waivers
    assert (first.name, first.fingerprint, first.expires, first.at_most) == (PRINT, PRINT, "2027-03-31", None)
    assert (second.at_most, second.at_most_unit, second.checks[1]) == (
        2e6, "bytes/hour", "total_growth.reachable_bytes",
    )  # fmt: skip


def replaced(old: str, new: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new)

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (replaced('reason = "issue 12"\n', ""), 'waiver "msgpack": reason: must be given'),
        (replaced("expires = 2027-06-30", ""), 'waiver "msgpack": expires: must be a date without quotes'),
        (replaced("2027-06-30", '"2027-06-30"'), 'expires: must be a date without quotes.*got "2027-06-30"'),
        (replaced('at_most = "48MB/d"\n', ""), "at_most: must be given with engine and check"),
        (replaced("48MB/d", "48"), 'at_most: must be "2MB/h"'),
        (replaced("48MB/d", "0MB/d"), "at_most: must be above 0"),
        (replaced('engine = "mine"\n', ""), "fingerprint: must be given, or engine and check"),
        (replaced("total_growth.reachable_bytes", "evidence.coverage"), "check: must be a check of growth.*got"),
        (replaced("total_growth.reachable_bytes", "latency.p95"), "check: must be a check of growth"),
        (replaced('package = "msgpack"\n', ""), "versions: must be set together with package"),
        (replaced(">=1.2,<1.3", "about 1.2"), 'versions: must be a range such as ">=1.2,<1.3", got "about 1.2"'),
        (replaced("e345071be9adbf27", "E345"), "waiver 1: fingerprint: must be 16 hexadecimal digits.*got"),
        (replaced('name = "msgpack"', f'name = "{PRINT}"'), "name: must be unique"),
        (replaced('reason = "issue 12"', 'resaon = "issue 12"'), 'unknown key "resaon" .did you mean "reason"'),
        (replaced('reason = "issue 12"', 'reason = "issue 12"\nuntil = 1'), 'unknown key "until"'),
        (replaced("[[waiver]]", "[[waver]]"), 'unknown key "waver" .did you mean "waiver"'),
        (replaced("[[waiver]]", "[[waiver]"), "not TOML"),
        (
            replaced('reason = "issue 12"', f"reason = {'[' * 5000}{']' * 5000}"),
            "not TOML: brackets are nested too deep",
        ),
    ],
)
def test_a_bad_file_is_an_error_that_names_file_entry_key_and_rule(
    tmp_path: Path, change: Callable[[str], str], message: str
) -> None:
    path = written(tmp_path, change(FILE))
    with pytest.raises(ConfigError, match=message) as caught:
        read_waivers(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"waivers\.toml: cannot be read: No such file"):
        config.parse(CONFIG, source="soak.toml", folder=tmp_path)


def test_before_a_run_a_waiver_that_will_lapse_is_warned_of(tmp_path: Path) -> None:
    written(tmp_path, FILE.replace("2027-06-30", "2020-01-31"))
    found = [(f.level, f.text) for f in outlook(make_plan(config.parse(CONFIG, source="s", folder=tmp_path)))]
    (told,) = [text for level, text in found if level == "warning" and text.startswith("waiver")]
    assert told.startswith('waiver "msgpack": expires on 2020-01-31, and the run ends on ')


def ten_bytes_known(story: Story) -> dict[str, Any]:
    """Judge a day of restarts of which ten bytes of each operation, and a little more, are listed."""
    day = plan_of(
        duration="24h", every="2min",
        limits='growth_per_operation = "1B"\ntotal_growth = "20MB"\nreturn_to_baseline = "off"\nrestarts = 9',
    )  # fmt: skip
    total = (*GROWTH, "total_growth.reachable_bytes")
    plan = with_waivers(day, waiver(engine="mine", checks=total, at_most=10.6, at_most_unit="bytes/operation"))
    return verdict_of(plan, made_up(plan, {"mine": story}))


@pytest.mark.parametrize(("jump", "state"), [(0.0, "PASS"), (4e8, "FAIL")])
def test_what_a_life_gained_is_listed_by_the_operations_of_one_life(jump: float, state: str) -> None:
    """Ten bytes of each operation are known; of four restarts each gives back what there was."""
    restarts = tuple(3600.0 * hour for hour in (5, 10, 15, 20))

    def grows(t_s: float, operations: float) -> float:
        begun_s = max((at_s for at_s in restarts if at_s <= t_s), default=600.0)
        return 1e4 * max(0.0, t_s - begun_s) + (jump if 12 <= t_s / 3600 < 15 else 0.0)

    verdict = ten_bytes_known(Story(python=grows, restarts=restarts))
    assert verdict["verdict"] == state, verdict["summary"]
    total = check(verdict, "mine", "total_growth.reachable_bytes")
    assert ("waived" in total) is (state == "PASS")


@pytest.mark.parametrize("restart_h", [4, 20])
def test_a_short_life_is_allowed_what_a_short_life_may_gain(restart_h: int) -> None:
    """A step of 600 MB in a life of four hours, beside one of twenty hours that gains as much by what is known."""
    again_s = 3600.0 * restart_h
    begin_s, end_s = (600.0, again_s) if restart_h == 4 else (again_s, 86_000.0)

    def grows(t_s: float, operations: float) -> float:
        step = 6e8 if begin_s + 0.5 * (end_s - begin_s) <= t_s < end_s else 0.0
        return 1e4 * max(0.0, t_s - (again_s if t_s >= again_s else 600.0)) + step

    verdict = ten_bytes_known(Story(python=grows, restarts=(again_s,)))
    total = check(verdict, "mine", "total_growth.reachable_bytes")
    assert (total["verdict"], "waived" in total, total["estimate"] > 6e8) == ("FAIL", False, True)
