"""A rival that is too slow looks the same wherever its run is shown: informational."""

import io
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import html5lib
import pytest
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console

from soakd.live import metrics
from soakd.live.status import RunStatus
from soakd.live.terminal import print_closing
from soakd.report.curves.reading import read_curves
from soakd.report.html.material import Material
from soakd.report.html.page import page
from soakd.report.junit import junit
from soakd.report.markdown import markdown
from soakd.setup.config import parse
from soakd.setup.plan import make_plan
from soakd.verdict.rows import CheckRow, rows_of
from soakd.verdict.severity import may_decide
from soakd.verdict.types import Verdict
from tests.recorded import PLAN as ONE_ENGINE
from tests.recorded import Story
from tests.typed import typed
from tests.written import recorded_run, verdict_of

LIMITS = 'growth_per_operation = "16B"\nlatency_p95 = "1ms"'
RIVAL = '[[engine]]\nname = "slow"\nkind = "python"\nfactory = "package.module:slow"\nrate = 1000\nrole = "rival"\n'
PLAN = make_plan(
    parse(ONE_ENGINE.format(duration="3min", every="1s", limits=LIMITS) + RIVAL, source="a.toml", folder=Path.cwd())
)
P95 = "latency.p95"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A subject that passes beside a rival of which every operation takes five times the limit."""
    folder = tmp_path_factory.mktemp("informational") / "run"
    return recorded_run(folder, plan=PLAN, mine=Story(), slow=Story(latency_ns=5_000_000))


@pytest.fixture(scope="module")
def verdict(run: Any) -> dict[str, Any]:
    return verdict_of(run)


def of(verdict: dict[str, Any], engine: str) -> dict[str, Any]:
    found: dict[str, Any] = next(entry for entry in verdict["engines"] if entry["name"] == engine)
    return found


def check(verdict: dict[str, Any], engine: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in of(verdict, engine)["checks"] if one["id"] == P95)
    return found


def row(verdict: dict[str, Any], engine: str, check_id: str = P95) -> CheckRow:
    return next(row for row in rows_of(typed(verdict)) if (row.engine, row.id) == (engine, check_id))


def status_of(verdict: dict[str, Any]) -> RunStatus:
    status = RunStatus(PLAN, "made-up")
    status.apply_verdict(typed(verdict))
    return status


def test_the_judge_writes_of_each_check_whether_it_decides(verdict: dict[str, Any]) -> None:
    assert (verdict["verdict"], of(verdict, "slow")["verdict"]) == ("PASS", "FAIL")
    assert (check(verdict, "mine")["verdict"], check(verdict, "mine")["decides"]) == ("PASS", True)
    assert (check(verdict, "slow")["verdict"], check(verdict, "slow")["decides"]) == ("FAIL", False)
    assert not any(one["decides"] for name in ("slow", "control-leak") for one in of(verdict, name)["checks"])
    assert all(one["decides"] is not one.get("informational", False) for one in verdict["checks"])


def test_a_check_that_decides_is_one_of_those_that_made_the_verdict(verdict: dict[str, Any]) -> None:
    for engine in verdict["engines"]:
        for one in engine["checks"]:
            assert one["decides"] is (may_decide(engine["role"], one["id"]) and not one.get("informational", False))


def test_a_file_of_an_older_version_reads_the_same(verdict: dict[str, Any]) -> None:
    engines = [{**e, "checks": [without_decides(c) for c in e["checks"]]} for e in verdict["engines"]]
    older = {**verdict, "engines": engines, "checks": [without_decides(c) for c in verdict["checks"]]}
    assert list(rows_of(typed(older))) == list(rows_of(typed(verdict)))
    assert (markdown(typed(older)), junit(typed(older))) == (markdown(typed(verdict)), junit(typed(verdict)))


def without_decides(check: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in check.items() if key != "decides"}


def test_the_rival_is_informational_in_the_rows_that_people_read(verdict: dict[str, Any]) -> None:
    slow, mine = row(verdict, "slow"), row(verdict, "mine")
    assert (slow.state, slow.limit, slow.decides, slow.informational) == ("FAIL", "1 ms", False, True)
    assert (mine.state, mine.decides, mine.informational) == ("PASS", True, False)
    leak = row(verdict, "control-leak", "growth.reachable_bytes")
    assert (leak.verdict, leak.state, leak.informational) == ("FAIL", "caught", False)


def test_on_the_terminal(verdict: dict[str, Any]) -> None:
    console = Console(file=io.StringIO(), width=200, color_system=None, highlight=False, _environ={})
    print_closing(typed(verdict), [], console=console)
    assert isinstance(console.file, io.StringIO)
    [line] = [line for line in console.file.getvalue().splitlines() if line.startswith("slow ") and P95 in line]
    assert re.search(r"FAIL +5\S* ms +limit 1 ms  informational$", line), line


def test_in_markdown(verdict: dict[str, Any]) -> None:
    text = markdown(typed(verdict))
    assert re.search(r"\| latency\.p95 \(informational\) \| fail \| 5\S* ms \| 1 ms \|", text)
    assert "| latency.p95 | pass |" in text
    checks = [line for line in text.splitlines() if line.startswith("| ")]
    assert not any("**" in line for line in checks), "nothing that decides is bad news"


def test_in_the_report(run: Any, verdict: dict[str, Any]) -> None:
    text = page(Material(verdict=Verdict.from_dict(verdict), curves=read_curves(run, typed(verdict))))
    document = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(text)
    sections = [s for s in document.iter("section") if s.get("class") == "engine" and s.find("h2").text == "slow "]
    [section] = sections
    informational = {words(th) for details in section.iter("details") for th in details.iter("th")}
    assert f"{P95} informational" in informational
    assert P95 not in {words(th) for th in section.iter("th")}
    glance = next(table for table in document.iter("table") if table.get("class") == "glance")
    assert f"{P95} (informational)" in words(glance)


def words(element: Any) -> str:
    return " ".join(" ".join(element.itertext()).split())


def test_in_junit(verdict: dict[str, Any]) -> None:
    suites = ET.fromstring(junit(typed(verdict)))
    case = suites.find(f"testsuite[@name='slow']/testcase[@name='{P95}']/skipped")
    assert case is not None
    assert re.fullmatch(r"FAIL: 5\S* ms, limit 1 ms; informational", case.get("message", "")), case.get("message")
    assert (suites.get("failures"), suites.get("errors")) == ("0", "0")


def test_in_the_metrics(verdict: dict[str, Any]) -> None:
    text = metrics.render(status_of(verdict), 0.0).decode()
    found = {
        (labels["engine"], labels["decides"], labels["state"])
        for family in text_string_to_metric_families(text)
        for name, labels, value, *_ in family.samples
        if name == "soakd_check_state" and labels["check"] == P95 and value == 1.0
    }
    assert {("mine", "true", "PASS"), ("slow", "false", "FAIL")} <= found


def test_in_the_json_of_the_status_page(verdict: dict[str, Any]) -> None:
    status = status_of(verdict | {"verdict": "INCOMPLETE"})
    assert (status.state_so_far, status.engines["slow"].state_so_far) == ("PASS", "FAIL")
    slow = status.engines["slow"].as_dict()
    assert slow["decides"] is False
    assert [one["decides"] for one in slow["checks"] if one["id"] == P95] == [False]
