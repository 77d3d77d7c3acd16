"""The report as its readers open it: from a disk, in a real browser, with whatever theme and screen they have."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from soakd.report import files
from tests.browser import Visit, chromium, needs_chromium, violations
from tests.recorded import Story, per_operation
from tests.typed import typed
from tests.written import record, recorded_run, snapshot, verdict_of

pytestmark = needs_chromium

SITE = {
    "fingerprint": "f1", "site": "shop/basket.py:42 in Basket.add", "bytes_per_operation": 98.0, "confidence": "high",
    "frames": ["shop/basket.py:42 in Basket.add", "shop/handlers.py:7 in call"], "tool": "tracemalloc",
}  # fmt: skip


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    told = {"what": "operation_error", "detail": "boom", "traceback": "Traceback\n  File x"}
    story = Story(python=per_operation(100), restarts=(60.0,), incidents=[(30.0, told)])
    snapshots = [snapshot(t_s, 10 + int(t_s)) for t_s in range(70, 131, 10)]
    look = {"id": 1, "route": "python", "state": "done", "operations": [1000], "sites": [SITE]}
    more = [*snapshots, record("attribution", 170.0, look)]
    run = recorded_run(tmp_path_factory.mktemp("report") / "run", more=more, mine=story)
    return files.write_report(run, typed(verdict_of(run)), output=None)[0]


@pytest.fixture(scope="module")
def browser(report: Path) -> Iterator[Any]:  # opened after it: its loop runs from then on
    with chromium() as found:
        yield found


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_asks_for_nothing_complains_of_nothing_and_passes_axe(browser: Any, report: Path, theme: str) -> None:
    with Visit(browser, report.as_uri(), theme=theme) as visit:
        assert re.match(r"FAIL\s+mine: ", visit.text("h1"))
        assert visit.page.locator("svg.chart").count() >= 10
        assert violations(visit.page) == []
        assert visit.requests == [report.as_uri()]
        assert visit.complaints == []


BESIDE_ITS_BOX = """() => [...document.querySelectorAll('.flame-graph .call')].filter(call => {
    const [text, box] = ['text', 'rect'].map(name => call.querySelector(name).getBoundingClientRect());
    return text.left < box.left || text.top < box.top || text.bottom > box.bottom;
}).map(call => call.textContent)"""


def test_the_names_of_a_flame_graph_begin_in_their_boxes(browser: Any, report: Path) -> None:
    with Visit(browser, report.as_uri()) as visit:
        assert visit.page.locator(".flame-graph .call").count() == 3
        assert visit.page.evaluate(BESIDE_ITS_BOX) == []


@pytest.mark.parametrize("width", [390, 1280, 1920])
def test_it_is_as_wide_as_its_screen(browser: Any, report: Path, width: int) -> None:
    with Visit(browser, report.as_uri(), width=width) as visit:
        assert visit.page.evaluate("document.documentElement.scrollWidth") == width


def test_it_prints_without_cutting_a_table_or_a_chart(browser: Any, report: Path) -> None:
    with Visit(browser, report.as_uri(), width=700) as visit:
        visit.page.emulate_media(media="print")
        cut = "[...document.querySelectorAll('.scroll, pre')].filter((e) => e.scrollWidth > e.clientWidth + 2).length"
        assert visit.page.evaluate(cut) == 0
        assert visit.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert visit.page.pdf(prefer_css_page_size=True)[:5] == b"%PDF-"
