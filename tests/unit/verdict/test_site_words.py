"""A call site reads the same wherever it is shown."""

import io
from typing import Any

import pytest
from rich.console import Console

from soakd.live.status import RunStatus
from soakd.live.terminal import print_closing
from soakd.live.terminal.differences import run_lines
from soakd.report.curves.values import Curves
from soakd.report.diff import diff_runs
from soakd.report.html.material import Material
from soakd.report.html.page import page
from soakd.report.markdown import markdown
from soakd.verdict.site_words import place_words, site_facts
from soakd.verdict.types import Verdict
from soakd.wire.sites import Site, encode
from tests.recorded import made_up, plan_of, verdict_of
from tests.typed import typed

SITE = Site(
    fingerprint="e345071be9adbf27", place="shop.py:42 in add", frames=("shop.py:42 in add",),
    bytes_per_operation=12_345.6, share=0.976, things_per_operation=0.04, runs=("task serve",),
    held_by=("list kept",), confidence="medium", tool="tracemalloc", known="ticket 7",
)  # fmt: skip


@pytest.fixture(scope="module")
def verdict() -> dict[str, Any]:
    found = verdict_of(plan_of(), list(made_up(plan_of())))
    for engine in found["engines"]:
        engine["attribution"] = [encode(SITE)] if engine["name"] == "mine" else []
    return found


def shown(verdict: dict[str, Any]) -> dict[str, str]:
    """What each output shows of the run."""
    terminal = io.StringIO()
    print_closing(typed(verdict), [], console=Console(file=terminal, width=400))
    status = RunStatus(plan_of(), "made-up")
    status.apply_verdict(typed(verdict))
    return {
        "terminal": terminal.getvalue(),
        "page": ", ".join(status.engines["mine"].as_dict()["sites"][0]["facts"]),
        "markdown": markdown(typed(verdict)),
        "html": page(Material(verdict=Verdict.from_dict(verdict), curves=Curves(until_s=1.0))),
        "diff": "\n".join(run_lines(diff_runs(typed(verdict), typed(verdict), {}))),
    }


@pytest.mark.parametrize("words", ["12.3 kB/op, 0.04/op"])
def test_its_growth_reads_the_same_on_terminal_page_markdown_html_and_beside_another_run(
    verdict: dict[str, Any], words: str
) -> None:
    assert [name for name, text in shown(verdict).items() if words not in text] == []


@pytest.mark.parametrize("words", ["98%", "list kept"])
def test_its_share_and_who_keeps_it_read_the_same_on_terminal_page_markdown_and_html(
    verdict: dict[str, Any], words: str
) -> None:
    assert [name for name, text in shown(verdict).items() if words not in text] == ["diff"]


def test_a_line_of_facts_begins_with_its_share_and_says_what_is_doubtful() -> None:
    assert list(site_facts(SITE)) == [
        "98% of the growth", "12.3 kB/op, 0.04/op", "runs task serve", "kept in list kept", "confidence medium",
        "known: ticket 7",
    ]  # fmt: skip
    assert list(site_facts(Site(fingerprint="a", place="b", confidence="high"))) == []


def test_a_container_is_what_keeps_and_a_line_is_where_it_grows() -> None:
    held = Site(fingerprint="a", place="list kept", held_by=("list kept",), tool="holders")
    assert place_words(SITE) == "at shop.py:42 in add (kept in list kept), 98% of the growth"
    assert place_words(held) == "kept in list kept"


def test_what_a_look_could_not_do_reads_the_same_on_terminal_markdown_and_html(verdict: dict[str, Any]) -> None:
    looks = [{"route": "native", "state": "failed", "why": "no tool", "note": "no search"}]
    engines = [engine | {"looks": looks} for engine in verdict["engines"]]
    texts = shown(verdict | {"engines": engines})
    for words in ("deep look (native) failed: no tool", "deep look (native): no search"):
        assert [name for name in ("terminal", "markdown", "html") if words not in texts[name].replace("\\", "")] == []
