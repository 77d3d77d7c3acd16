import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import html5lib
import pytest
from jinja2 import UndefinedError

from soakd.judge.judge import judge
from soakd.record import run_folder
from soakd.record.journal import Journal
from soakd.record.run_folder import RunDir
from soakd.report import files, summaries
from soakd.report.curves.bands import Thinner
from soakd.report.curves.reading import read_curves
from soakd.report.curves.values import Curves
from soakd.report.html.markup import Html, tag
from soakd.report.html.material import Material
from soakd.report.html.page import page
from soakd.report.html.rendering import render
from soakd.setup.plan_json import plan_as_dict
from soakd.verdict.types import Verdict
from tests.recorded import Story, per_operation, plan_of
from tests.typed import typed
from tests.written import record, recorded_run, snapshot, verdict_of

HOSTILE = '</title><script>alert("1")</script><img src=x onerror=alert(2)>\x1b[31m\x00\u202e\n\'"&'
SHORT = plan_of()


@pytest.fixture(scope="module")
def leaking(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A leak, a restart, snapshots, an incident with a traceback."""
    told = {"what": "operation_error", "detail": "boom", "traceback": "Traceback <most recent>\n  File x"}
    story = Story(python=per_operation(100), restarts=(60.0,), incidents=[(30.0, told)])
    site = {
        "fingerprint": "f1",
        "site": "mine.py:42 in handle",
        "frames": ["mine.py:42 in handle", "mine.py:7 in call"],
    }
    sites = [{**site, "bytes_per_operation": 98.0, "confidence": "high", "tool": "tracemalloc"}]
    look = {"id": 1, "route": "python", "state": "done", "operations": [1000], "sites": sites}
    snapshots = [snapshot(t_s, 10 + int(t_s)) for t_s in range(70, 131, 10)]
    more = [*snapshots, record("attribution", 170.0, look)]
    return recorded_run(tmp_path_factory.mktemp("leaking") / "run", more=more, mine=story)


def strictly(text: str) -> Any:
    """Parse as a browser does, and refuse what a browser would mend."""
    return html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(text)


def report_of(run: RunDir, verdict: dict[str, Any]) -> Any:
    """The report of a run by some verdict, parsed."""
    return strictly(page(Material(verdict=Verdict.from_dict(verdict), curves=read_curves(run, typed(verdict)))))


def words(element: Any) -> str:
    return " ".join(" ".join(element.itertext()).split())


def test_the_report_is_one_valid_file_without_script_or_reference(leaking: RunDir) -> None:
    [html, markdown, junit] = files.write_report(leaking, typed(verdict_of(leaking)), output=None)
    assert (html.name, markdown.name, junit.name) == ("report.html", "verdict.md", "verdict.junit.xml")
    document = strictly(html.read_text(encoding="utf-8"))
    assert {element.tag for element in document.iter()} & {"script", "img", "link", "iframe", "object"} == set()
    assert re.findall(r'(?:src|href)="(?!#)[^"]*"|url\(|@import|https?://', html.read_text(encoding="utf-8")) == []


def test_the_call_site_stands_with_its_flame_graph(leaking: RunDir) -> None:
    [html, *_] = files.write_report(leaking, typed(verdict_of(leaking)), output=None)
    section = next(e for e in strictly(html.read_text(encoding="utf-8")).iter("section") if e.get("id") == "engine-1")
    assert "mine.py:42 in handle 2 frames" in words(section)
    [graph] = [e for e in section.iter() if e.get("class") == "flame-graph"]
    assert "mine.py:7 in call" in words(graph)


def test_a_leak_that_is_waived_is_shown_as_known(leaking: RunDir) -> None:
    verdict = verdict_of(leaking)
    [leak] = [c for c in verdict["engines"][0]["checks"] if c["id"] == "growth.reachable_bytes"]
    leak |= {"informational": True, "waived": ["issue-7"]}
    covers = [{"engine": "mine", "check": "growth.reachable_bytes"}]
    verdict["waivers"] = [
        {"name": "issue-7", "state": "used", "reason": "known", "expires": "2030-01-01", "covers": covers}
    ]
    document = words(report_of(leaking, verdict))
    assert "known and waived: issue-7" in document
    assert "issue-7 used mine: growth.reachable_bytes known 2030-01-01" in document


def test_every_link_of_the_report_leads_somewhere_and_every_id_is_one(leaking: RunDir) -> None:
    document = report_of(leaking, verdict_of(leaking))
    ids = [element.get("id") for element in document.iter() if element.get("id")]
    links = {element.get("href").removeprefix("#") for element in document.iter("a")}
    assert len(ids) == len(set(ids))
    assert links
    assert links <= set(ids)


def test_the_sentence_of_the_verdict_comes_first(leaking: RunDir) -> None:
    verdict = verdict_of(leaking)
    document = report_of(leaking, verdict)
    assert words(next(document.iter("h1"))) == f"FAIL {verdict['summary']}."


def test_the_numbers_of_the_leak_check_stand_beside_its_curve(leaking: RunDir) -> None:
    verdict = verdict_of(leaking)
    document = report_of(leaking, verdict)
    caption = next(words(f) for f in document.iter("figcaption") if words(f).startswith("Reachable memory"))
    assert re.search(r"FAIL \d+ B/op \[\d+, \d+\], limit 16 B/op; [\d.]+ B/op detectable \(95 %\)$", caption)


def test_hostile_text_stays_text_wherever_it_stands(leaking: RunDir) -> None:
    verdict = poisoned(verdict_of(leaking))
    curves = read_curves(leaking, typed(verdict_of(leaking)))
    text = page(Material(verdict=Verdict.from_dict(verdict), curves=curves, config=HOSTILE, overrides=[HOSTILE]))
    document = strictly(text)
    assert {element.tag for element in document.iter()} & {"script", "img"} == set()
    assert [name for element in document.iter() for name in element.attrib if str(name).startswith("on")] == []
    assert "alert" in words(next(document.iter("h1")))
    assert re.findall("[\x00-\x09\x0b-\x1f\x7f\u202e]", text) == []


def poisoned(value: Any, key: str = "") -> Any:
    """Put a hostile text into every place of a verdict that may hold one of somebody else's."""
    if isinstance(value, dict):
        return {name: poisoned(entry, name) for name, entry in value.items()}
    if isinstance(value, list):
        return [poisoned(entry, key) for entry in value]
    kept = ("verdict", "id", "role", "unit", "schema", "name", "confidence")
    return HOSTILE if isinstance(value, str) and key not in kept else value


def test_a_hostile_name_of_an_engine_stays_a_name(leaking: RunDir) -> None:
    verdict = verdict_of(leaking)
    for engine in verdict["engines"]:
        engine["name"] = HOSTILE
    document = strictly(page(Material(verdict=Verdict.from_dict(verdict), curves=Curves(until_s=180.0))))
    assert {element.tag for element in document.iter()} & {"script", "img"} == set()
    assert "Nothing was recorded of this engine." in words(document)


def test_an_attribute_cannot_be_left() -> None:
    assert tag("a", "x", href='" onclick="') == '<a href="&quot; onclick=&quot;">x</a>'
    assert tag("p", Html("<b>"), "<b>") == "<p><b>&lt;b&gt;</p>"


def test_heap_snapshots_of_the_beginning_and_of_the_end_are_compared(leaking: RunDir) -> None:
    heap = read_curves(leaking, typed(verdict_of(leaking))).engines["mine"].heap
    assert heap is not None
    [lists] = [held for held in heap.types if held.name == "list"]
    assert (lists.first, lists.last) == (100.0 * 90, 100.0 * 130)
    assert [held.name for held in heap.containers] == ["dict mine.cache"]
    assert "dict" not in [held.name for held in heap.types], "nothing of it changed"


def test_a_restart_breaks_the_curves_and_is_a_life_of_its_own(leaking: RunDir) -> None:
    curves = read_curves(leaking, typed(verdict_of(leaking)))
    assert [life.name for life in curves.lives["mine"]] == ["crash", "completed"]
    pieces = curves.engines["mine"].bands["rss_anon_bytes"].pieces
    assert [piece.t_s[0] < 60.0 for piece in pieces] == [True, False]


def test_a_peak_of_one_sample_survives_thinning() -> None:
    thinner = Thinner(0.0, 1000.0, 10)
    for t_s in range(1000):
        thinner.add(float(t_s), 99.0 if t_s == 537 else 1.0, 0)
    band = thinner.band()
    assert band is not None
    [piece] = band.pieces
    assert [high for high in piece.high if high > 1.0] == [99.0]
    assert (len(piece.t_s), band.readings, band.low, band.high) == (10, 1000, 1.0, 99.0)


def test_a_gap_in_the_samples_is_a_gap_in_the_curve() -> None:
    thinner = Thinner(0.0, 100.0, 100)
    for t_s in [*range(40), *range(60, 100)]:
        thinner.add(float(t_s), 1.0, 0)
    band = thinner.band()
    assert band is not None
    assert [(piece.t_s[0], piece.t_s[-1]) for piece in band.pieces] == [(0.0, 39.0), (60.0, 99.0)]


def test_a_configuration_that_is_a_link_is_not_shown(tmp_path: Path) -> None:
    run = recorded_run(tmp_path / "run", more=[], mine=Story())
    (tmp_path / "elsewhere").write_text("of somebody else", encoding="utf-8")
    (run.path / "soak.toml").unlink(missing_ok=True)
    (run.path / "soak.toml").symlink_to(tmp_path / "elsewhere")
    [html, *_] = files.write_report(run, typed(verdict_of(run)), output=None)
    assert "of somebody else" not in html.read_text(encoding="utf-8")


def test_what_was_not_recorded_is_said(tmp_path: Path) -> None:
    silent = Story(
        silent_from_s={"rss_bytes": 0.0, "rss_anon_bytes": 0.0, "cpu_s_total": 0.0, "fds": 0.0, "threads": 0.0}
    )
    run = recorded_run(tmp_path / "run", mine=silent)
    document = report_of(run, verdict_of(run))
    figures = {words(f) for f in document.iter("figure")}
    assert {"Processor nothing was recorded", "File descriptors, threads, tasks nothing was recorded"} <= figures
    assert "The run's copy of its configuration is missing." in words(document)


def test_a_run_that_never_began_has_a_report_too(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "run")
    journal = Journal(run.journal, on_commit=lambda batch: None, on_failure=print)
    journal.set_meta({"run_id": "run", "plan": plan_as_dict(SHORT), "environment": {}, "config_sha256": None})
    journal.close()
    run.unlock()
    judge(run, live=False)
    [html, *_] = files.write_report(run, typed(verdict_of(run)), output=tmp_path / "elsewhere.html")
    document = strictly(html.read_text(encoding="utf-8"))
    assert html == tmp_path / "elsewhere.html"
    assert "Nothing was recorded of this engine." in words(document)


def test_the_same_run_gives_the_same_report_byte_for_byte(leaking: RunDir, tmp_path: Path) -> None:
    first, second = (
        files.write_report(leaking, typed(verdict_of(leaking)), output=tmp_path / name)[0].read_bytes()
        for name in ("first.html", "second.html")
    )
    assert first == second


def test_a_run_of_a_month_is_thinned_while_it_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("soakd.report.curves.reading.FITTED", 40)
    seen: list[int] = []
    assemble = counted(seen)
    monkeypatch.setattr("soakd.report.curves.reading.assemble", assemble)
    run = recorded_run(tmp_path / "run", mine=Story())
    curves = read_curves(run, typed(verdict_of(run)))
    assert curves.engines["mine"].bands["rss_bytes"].readings > 150
    assert max(seen) <= 2 * 45, "worker samples with reachable bytes, and those without"


def counted(seen: list[int]) -> Callable[..., Any]:
    from soakd.judge.story.assemble import assemble

    def assembling(*arguments: Any) -> Any:
        data = assemble(*arguments)
        seen.extend(len(series) for engine in data.engines for series in engine.series.values())
        return data

    return assembling


def test_markdown_and_junit_are_written_with_it(leaking: RunDir) -> None:
    (leaking.path / run_folder.SUMMARY).unlink(missing_ok=True)
    summaries.write(typed(verdict_of(leaking)), leaking)
    assert (leaking.path / run_folder.SUMMARY).read_text(encoding="utf-8").startswith("# soakd: FAIL")


def test_no_template_takes_text_for_markup() -> None:
    templates = sorted(Path(files.__file__).parent.rglob("*.html"))
    assert templates
    assert [path.name for path in templates if re.search(r"\|\s*safe|autoescape|Markup", path.read_text("utf-8"))] == []


def test_a_name_that_a_template_does_not_know_is_an_error_and_no_blank() -> None:
    with pytest.raises(UndefinedError):
        render("seen.html", {"verdict": object()})


def test_a_verdict_file_that_judges_anonymous_memory_keeps_its_chart(leaking: RunDir) -> None:
    text = leaking.verdict.read_text(encoding="utf-8").replace("growth.resident_bytes", "growth.rss_anon_bytes")
    curves = read_curves(leaking, Verdict.from_dict(json.loads(text)))
    assert {"reachable_bytes", "rss_anon_bytes"} <= set(curves.engines["mine"].levels)
