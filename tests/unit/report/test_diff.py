"""Two runs beside each other, and two moments of one: what is said to be new, gone, the same, and not known."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from soakd.cli import main
from soakd.errors import JournalError
from soakd.judge.conclude.verdict import make_verdict
from soakd.judge.story.assemble import assemble
from soakd.live.terminal.differences import heap_lines, run_lines
from soakd.record import journal, run_folder
from soakd.record.run_folder import RunDir
from soakd.report.diff import changed_packages, diff_heaps, diff_runs, differences
from soakd.setup.plan import Plan
from soakd.setup.plan_json import plan_as_dict
from soakd.wire.records import Record, make_record
from tests.recorded import Level, Story, flat, made_up, per_operation, plan_of, stamp
from tests.typed import typed

PLAN = plan_of(run='snapshot_every = "10s"')
LOOKED_S = 160.0


def look(*sites: tuple[str, float], engine: str = "mine", line: int = 10, state: str = "done") -> Record:
    found = [
        {"site": f"shop.py:{line} in {name}", "fingerprint": name, "bytes_per_operation": each, "tool": "tracemalloc",
         "frames": [f"shop.py:{line} in {name}"], "confidence": "high"}
        for name, each in sites
    ]  # fmt: skip
    body = {"id": 1, "route": "python", "state": state, "why": "no time", "sites": found, "operations": [100, 300]}
    return make_record("attribution", engine=engine, segment=0, at=stamp(LOOKED_S), body=body)


def run_of(
    grows: Level = flat, *looks: Record, plan: Plan = PLAN, name: str = "r", until_s: float | None = None
) -> Any:
    records = [*made_up(plan, {"mine": Story(python=grows)}, until_s=until_s), *looks]
    return make_verdict(assemble(plan, records), {"run_id": name}, running=False).as_dict()


HEALTHY = run_of(name="healthy")
LEAKS = run_of(per_operation(100), look(("add", 98.0)), name="leaks")


def compared(before: Any, after: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    result = diff_runs(typed(before), typed(after), {})
    return result, next(engine for engine in result["engines"] if engine["name"] == "mine")


def states(engine: dict[str, Any]) -> list[tuple[str, str]]:
    return [(leak["state"], leak["fingerprint"]) for leak in engine["leaks"]]


def test_a_leak_that_the_first_run_has_not_is_new_and_its_check_fails_newly() -> None:
    result, mine = compared(HEALTHY, LEAKS)
    assert result["answer"] == "new"
    assert states(mine) == [("new", "add")]
    assert "mine: new leak: shop.py:10 in add" in result["why"]
    assert "mine: growth.reachable_bytes fails, and did not" in result["why"]


def test_the_same_leak_some_lines_further_down_is_the_same() -> None:
    moved = run_of(per_operation(100), look(("add", 99.0), line=52), name="moved")
    result, mine = compared(LEAKS, moved)
    assert (result["answer"], states(mine)) == ("same", [("same", "add")])
    assert "was at shop.py:10 in add" in "\n".join(run_lines(result))


def test_a_leak_that_was_mended_is_gone_and_one_beside_it_is_new() -> None:
    assert states(compared(LEAKS, HEALTHY)[1]) == [("gone", "add")]
    assert compared(LEAKS, HEALTHY)[0]["answer"] == "same"
    other = run_of(per_operation(100), look(("drop", 99.0)))
    result, mine = compared(LEAKS, other)
    assert (result["answer"], sorted(states(mine))) == ("new", [("gone", "add"), ("new", "drop")])


def test_what_a_run_could_not_have_said_is_neither_gone_nor_new() -> None:
    unlooked = run_of(per_operation(100), look(state="failed"), name="unlooked")
    for before, after in ((LEAKS, unlooked), (unlooked, LEAKS)):
        result, mine = compared(before, after)
        assert (result["answer"], states(mine)) == ("unknown", [("unknown", "add")])
    cut = run_of(until_s=60.0, name="cut")
    result, mine = compared(LEAKS, cut)
    assert (result["answer"], states(mine)) == ("unknown", [("unknown", "add")])
    assert any("is INCONCLUSIVE now" in why for why in result["why"])


def test_the_same_leak_that_grows_faster_is_new_and_one_that_grows_a_little_faster_is_not() -> None:
    faster, little = (run_of(per_operation(each), look(("add", each))) for each in (200.0, 103.0))
    assert "mine: growth.reachable_bytes grows faster" in compared(LEAKS, faster)[0]["why"]
    assert compared(LEAKS, little)[0]["answer"] == "same"


def test_growth_is_shown_with_both_rates_and_its_change() -> None:
    result, mine = compared(HEALTHY, LEAKS)
    growth = next(c for c in mine["growth"] if c["id"] == "growth.reachable_bytes")
    assert growth["answer"] == "faster"
    assert growth["change"] == pytest.approx(100, rel=0.02)
    line = next(line for line in run_lines(result) if line.lstrip().startswith("growth.reachable_bytes"))
    assert "PASS" in line
    assert "FAIL" in line


def test_controls_and_rivals_are_shown_and_decide_nothing() -> None:
    def rival(verdict: Any) -> Any:
        engines = [e | ({"role": "rival"} if e["name"] == "mine" else {}) for e in verdict["engines"]]
        return verdict | {"engines": engines}

    result, mine = compared(rival(HEALTHY), rival(LEAKS))
    assert (result["answer"], states(mine)) == ("same", [("new", "add")])
    assert next(engine for engine in result["engines"] if engine["name"] == "control-leak")["leaks"] == []


def test_an_engine_that_is_not_there_any_more_leaves_the_answer_open() -> None:
    without = HEALTHY | {"engines": [e for e in HEALTHY["engines"] if e["name"] != "mine"]}
    result, mine = compared(LEAKS, without)
    assert (result["answer"], mine["in"]) == ("unknown", "from")
    assert compared(without, LEAKS)[0]["answer"] == "new"


def meta(plan: Plan, **versions: str) -> dict[str, Any]:
    return {"plan": plan_as_dict(plan), "environment": {"host": {"name": "h"}, "versions": versions}}


def test_plans_and_environments_that_differ_are_said_and_an_engine_of_one_run_is_one_line() -> None:
    other = plan_of(duration="4min", limits='growth_per_operation = "32B"', run='snapshot_every = "10s"')
    found = differences(meta(PLAN, memray="1.17"), meta(other, memray="1.18"))
    said = {each["key"]: (each["from"], each["to"]) for each in found["plan"]}
    assert said["run.duration_s"] == (180.0, 240.0)
    assert said["engine.mine.limits.growth_per_operation_bytes"] == (16.0, 32.0)
    assert found["environment"] == [{"key": "versions.memray", "from": "1.17", "to": "1.18"}]
    fewer = dataclasses.replace(PLAN, engines=PLAN.engines[1:])
    assert differences(meta(PLAN), meta(fewer))["plan"] == [{"key": "engine.mine", "from": "present", "to": None}]
    assert differences(meta(PLAN), meta(PLAN)) == {"plan": [], "environment": []}


def installed(python: str, packages: dict[str, str] | None, *engines: str) -> list[Record]:
    hellos = [
        make_record("hello", engine=name, segment=0, at=stamp(0.0), body={"pid": 7, "python": python})
        for name in engines
    ]  # fmt: skip
    body = {"name": "packages", "environments": [{"engines": list(engines), "packages": packages or {}}]}
    return [*hellos, make_record("phase", engine="", segment=0, at=stamp(1.0), body=body)]


def test_packages_and_interpreters_that_changed_are_said_with_the_engines_that_have_them() -> None:
    shop = {"aiohttp": "3.9.1", "attrs": "23.1", "gone": "1.0"}
    before = [*installed("3.11.7", shop, "a", "b"), *installed("3.11.7", {"redis": "5.0"}, "c", "left")]
    now = {"aiohttp": "3.10.0", "attrs": "23.1", "Brand-New": "0.1"}
    after = [*installed("3.12.1", now, "a", "b"), *installed("3.11.7", None, "c"), *installed("3.13.0", {}, "new")]
    found = changed_packages(before, after)
    assert [(each["engines"], each["key"], each["from"], each["to"]) for each in found] == [
        (["a", "b"], "interpreter", "3.11.7", "3.12.1"), (["a", "b"], "aiohttp", "3.9.1", "3.10.0"),
        (["a", "b"], "Brand-New", None, "0.1"), (["a", "b"], "gone", "1.0", None),
        (["c"], "packages", "1 recorded", None),
    ]  # fmt: skip
    lines = list(run_lines(diff_runs(typed(HEALTHY), typed(HEALTHY), {"packages": found})))
    assert lines[2:4] == ["different releases:", "  a, b: interpreter: 3.11.7 -> 3.12.1"]
    assert "  a, b: gone: 1.0 -> -" in lines
    assert changed_packages(before, before) == []


def snapshot(t_s: float, grown: int, *, segment: int = 0, method: str = "pympler", rank: bool = True) -> Record:
    rows = [("shop.Basket", 10 + grown), ("str", 500)] + ([("late", grown)] if grown and rank else [])
    types: list[dict[str, Any]] = [{"type": kind, "count": n, "bytes": 100 * n} for kind, n in rows]
    body = {
        "method": method, "objects": 600 + grown, "bytes": sum(row["bytes"] for row in types) + 7, "types": types,
        "containers": [
            {"type": "list", "length": 100 + grown, "id": 4096 + segment, "name": "`seen` of a shop.Basket",
             "bytes": 800 + 8 * grown},
            {"type": "dict", "length": 50, "id": 8192 + segment},
        ],
    }  # fmt: skip
    return make_record("snapshot", engine="mine", segment=segment, at=stamp(t_s), body=body)


def skipped(t_s: float) -> Record:
    body = {"skipped": "gave way", "forked_at_s": t_s}
    return make_record("snapshot", engine="mine", segment=0, at=stamp(t_s), body=body)


def written(folder: Path, *more: Record, plan: Plan = PLAN) -> RunDir:
    folder.mkdir()
    db = journal.Journal(folder / run_folder.JOURNAL, on_commit=lambda batch: None, on_failure=print)
    db.set_meta({"run_id": folder.name, "plan": plan_as_dict(plan), "environment": {}})
    for record in [*made_up(plan), *more]:
        db.put(record)
    db.close()
    return RunDir(folder)


def grown(result: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = next(engine for engine in result["engines"] if engine["name"] == "mine")
    return found


def steps(**more: Any) -> Iterator[Record]:
    return (snapshot(t_s, int(t_s), **more) for t_s in (20.0, 30.0, 40.0, 90.0, 100.0, 110.0))


def test_types_and_containers_that_grew_are_shown_with_bytes_and_counts_from_the_nearest_snapshots(
    tmp_path: Path,
) -> None:
    mine = grown(diff_heaps(written(tmp_path / "r", *steps(rank=False)), 31.0, 98.0))
    assert (mine["from"]["at_s"], mine["to"]["at_s"], mine["to"]["phase"]) == (30.0, 100.0, "load")
    assert mine["types"] == [
        {"type": "shop.Basket", "grew_bytes": 7000, "to_bytes": 11000, "to_count": 110, "from_bytes": 4000,
         "from_count": 40, "grew_count": 70}
    ]  # fmt: skip
    (container,) = mine["containers"]
    assert (container["grew_length"], container["to_length"], container["grew_bytes"]) == (70, 200, 560)
    lines = list(heap_lines({"engines": [mine]}))
    assert any("+7 kB" in line and "shop.Basket" in line and "+70 objects" in line for line in lines)
    assert any("+70 entries" in line and "`seen` of a shop.Basket" in line for line in lines)


def test_a_type_that_was_not_among_the_heaviest_has_a_growth_of_at_least(tmp_path: Path) -> None:
    run = written(tmp_path / "r", snapshot(30.0, 0), snapshot(100.0, 900))
    row = next(row for row in grown(diff_heaps(run, 30.0, 100.0))["types"] if row["type"] == "late")
    assert row == {"type": "late", "grew_bytes": 89_000, "to_bytes": 90_000, "to_count": 900, "at_least": True}


def test_snapshots_of_one_life_and_one_way_of_counting_are_preferred_and_others_are_said(tmp_path: Path) -> None:
    records = [snapshot(30.0, 1, method="types"), snapshot(35.0, 2), snapshot(100.0, 3)]
    mine = grown(diff_heaps(written(tmp_path / "r", *records), 30.0, 100.0))
    assert (mine["from"]["at_s"], mine["notes"]) == (35.0, [])
    records = [snapshot(30.0, 1, method="types"), snapshot(100.0, 3, segment=1)]
    mine = grown(diff_heaps(written(tmp_path / "s", *records), 30.0, 100.0))
    assert mine["types"] == []
    assert "in different ways" in mine["notes"][1]
    assert [row["name"] for row in mine["containers"]] == ["`seen` of a shop.Basket"]  # by name: addresses are new


@pytest.mark.parametrize(
    ("records", "moments", "message"),
    [
        ([], (30.0, 100.0), "mine: no snapshot was taken"),
        ([skipped(30.0), skipped(100.0)], (30.0, 100.0), "2 skipped: gave way"),
        ([snapshot(100.0, 1)], (30.0, 100.0), "no snapshot within 20s of 30s, the nearest is at 1min 40s"),
        ([snapshot(30.0, 1), snapshot(100.0, 2)], (100.0, 30.0), "--from 1min 40s: must be before --to 30s"),
        ([snapshot(30.0, 1)], (30.0, 32.0), "only one snapshot there, at 30s"),
        ([snapshot(30.0, 1)], (30.0, 7200.0), "--to 2h: the run has 3min"),
    ],
)
def test_where_there_are_no_snapshots_the_error_says_so(
    tmp_path: Path, records: list[Record], moments: tuple[float, float], message: str
) -> None:
    with pytest.raises(JournalError, match=message):
        diff_heaps(written(tmp_path / "r", *records), *moments)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    for name, verdict in (("healthy", HEALTHY), ("leaks", LEAKS)):
        run_folder.write_atomically(written(folder / name).verdict, run_folder.to_json(verdict))
    return folder


def test_the_command_prints_and_its_exit_code_is_the_answer(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["diff", str(runs / "healthy"), str(runs / "leaks")]) == 1
    assert "new leak: shop.py:10 in add" in capsys.readouterr().out
    assert main.main(["diff", "leaks", "leaks", "--runs", str(runs)]) == 0
    capsys.readouterr()
    assert main.main(["diff", str(runs / "leaks"), str(runs / "healthy"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["schema"] == "soakd.diff/1"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["leaks"], "either two runs, or one run with --from and --to"),
        (["leaks", "healthy", "--from", "6h"], "either two runs"),
        (["leaks", "healthy", "latest"], "either two runs"),
        (["leaks", "--from", "6"], "--from: expected a duration"),
        (["leaks", "--from", "20s"], "mine: no snapshot was taken"),
        (["leaks", "nowhere"], "nowhere: no run there"),
    ],
)
def test_a_wrong_use_is_one_line_and_exit_2(
    runs: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["diff", *arguments, "--runs", str(runs)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
