"""The status page in a real browser, over a real soak in which one engine leaks."""

import asyncio
import signal
import threading
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest

from soakd.live.status import RunStatus
from soakd.live.web.server import serve
from tests.browser import Visit, chromium, needs_chromium, violations
from tests.showing import ORIGIN_S, record, status_in_load, verdict_final, verdict_so_far
from tests.typed import typed
from tests.watched import WatchedSoak

pytestmark = [pytest.mark.integration, pytest.mark.slow, needs_chromium]

SOAK = """
[run]
name = "watched"
duration = "6min"
sample_every = "500ms"
collect_every = "500ms"
snapshot_every = "10s"
[limits]
growth_per_operation = "16B"
[http]
port = {port}
[attribution]
enabled = false
[[engine]]
name = "session-store"
kind = "python"
factory = "soakd.worker.engines.planted:python_list_leak"
rate = 300
[[engine]]
name = "cache"
kind = "cache.native"
rate = 200
options = {{ capacity = 100 }}
"""
LEAKY, HEALTHY = "#engine-session-store", "#engine-cache"
JUDGED_WITHIN_S = 240.0


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def soak(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WatchedSoak]:
    """A soak that goes on while the tests look at it, one after another."""
    running = WatchedSoak(tmp_path_factory.mktemp("watched"), SOAK)
    running.start()
    try:
        yield running
    finally:
        running.end(signal.SIGHUP)  # left unfinished: its verdict is nobody's question


def test_the_page_comes_up_without_a_complaint_and_asks_nobody_else(soak: WatchedSoak, browser: Any) -> None:
    with Visit(browser, soak.address) as visit:
        visit.drawn()
        assert visit.text("#run-name") == "watched"
        assert "every 500 ms" in visit.text("#tiles")
        assert visit.page.locator(".card").count() == 4
        assert visit.text("#link-word") == "live"
        assert {request.split("/")[2] for request in visit.requests} == {f"127.0.0.1:{soak.port}"}
        assert visit.complaints == []


def test_its_numbers_go_on_while_the_soak_runs(soak: WatchedSoak, browser: Any) -> None:
    with Visit(browser, soak.address) as visit:
        visit.drawn()
        before = visit.text("#elapsed")
        visit.wait("before => document.querySelector('#elapsed').innerText !== before", before)
        visit.wait("() => /^[1-9][\\d,]*$/.test([...document.querySelectorAll('#engine-session-store .facts div')]"
                   ".find(row => row.innerText.startsWith('Operations')).querySelector('dd').innerText)")  # fmt: skip
        label = f"{HEALTHY} .chart:nth-child(2) .plot"
        visit.look_at(label)
        visit.wait("selector => / B|kB|MB/.test(document.querySelector(selector).getAttribute('aria-label'))", label)
        assert visit.complaints == []


def test_a_daemon_that_is_killed_is_missed_and_its_successor_is_found(soak: WatchedSoak, browser: Any) -> None:
    with Visit(browser, soak.address) as visit:
        visit.drawn()
        soak.end(signal.SIGKILL)
        visit.page.wait_for_selector("#banner:not([hidden])")
        assert "Connection lost" in visit.text("#banner")
        assert visit.text("#link-word") == "connection lost"
        soak.start()
        visit.page.wait_for_selector("#banner", state="hidden")
        visit.wait("() => document.querySelector('#timeline-box').innerText.includes('daemon gap')")
        assert visit.text("#run-name") == "watched"
        # the series of the time before are there again
        path = "/api/v1/engines/cache/series?signal=rss_bytes"
        visit.wait(f"() => fetch('{path}').then(a => a.json()).then(a => a.signals.rss_bytes?.t_s[0] < 5)")


def test_a_planted_leak_turns_red_and_the_healthy_engine_does_not(soak: WatchedSoak, browser: Any) -> None:
    with Visit(browser, soak.address) as visit:
        visit.page.wait_for_selector(f"{LEAKY}[data-state='FAIL']", timeout=JUDGED_WITHIN_S * 1000)
        assert visit.page.get_attribute("#answer", "data-state") == "FAIL"
        assert visit.text("#state").strip() == "Fail so far"
        assert "session-store: reachable memory grows" in visit.text("#findings")
        assert "B/op [" in visit.text(f"{LEAKY} .growth")
        assert visit.page.get_attribute(HEALTHY, "data-state") != "FAIL"
        assert visit.page.title().startswith("Fail so far")
        red = visit.page.evaluate("() => getComputedStyle(document.querySelector('#state')).color")
        assert red == visit.page.evaluate(RESOLVED, "--red")
        visit.page.wait_for_selector("#instrument .badge[data-state='caught']", timeout=JUDGED_WITHIN_S * 1000)


RESOLVED = """name => {
    const probe = document.body.appendChild(document.createElement('i'));
    probe.style.color = `var(${name})`;
    const color = getComputedStyle(probe).color;
    probe.remove();
    return color;
}"""


CUT_OFF = """() => [...document.querySelectorAll('h1, h2, h3, p, button, dd, .badge')]
    .filter(element => !element.closest('.scroll') && element.getBoundingClientRect().right > innerWidth + 1)
    .map(element => element.outerHTML)"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_width_is_enough_and_axe_finds_nothing(soak: WatchedSoak, browser: Any, theme: str) -> None:
    with Visit(browser, soak.address, theme=theme) as visit:
        visit.drawn()
        for width in (390, 1280, 1920):
            visit.page.set_viewport_size({"width": width, "height": 900})
            visit.wait(f"() => document.documentElement.clientWidth === {width}")
            visit.wait("() => document.documentElement.scrollWidth <= document.documentElement.clientWidth")
            assert visit.page.evaluate(CUT_OFF) == []
            assert violations(visit.page) == []
        assert visit.complaints == []


def test_the_keyboard_reaches_everything_and_moves_a_chart_s_cursor(soak: WatchedSoak, browser: Any) -> None:
    with Visit(browser, soak.address) as visit:
        visit.drawn()
        page = visit.page
        page.keyboard.press("Tab")
        assert page.evaluate("() => document.activeElement.className") == "skip"
        page.keyboard.press("Enter")
        assert page.url.endswith("#answer")
        page.focus("#theme")
        page.keyboard.press("Enter")
        assert page.evaluate("() => document.documentElement.dataset.theme") == "light"
        page.keyboard.press("Space")
        assert page.evaluate("() => document.documentElement.dataset.theme") == "dark"
        page.focus("#span-recent")
        page.keyboard.press("Enter")
        assert page.get_attribute("#span-recent", "aria-pressed") == "true"
        plot = f"{LEAKY} .chart:nth-child(2) .plot"
        page.focus(plot)
        assert ", now:" in page.get_attribute(plot, "aria-label")
        page.keyboard.press("Home")
        at_home = page.get_attribute(plot, "aria-label")
        page.keyboard.press("ArrowRight")
        assert ", at " in at_home != page.get_attribute(plot, "aria-label")
        page.keyboard.press("Escape")
        assert ", now:" in page.get_attribute(plot, "aria-label")


def test_a_theme_that_was_chosen_stays(soak: WatchedSoak, browser: Any) -> None:
    with Visit(browser, soak.address, theme="light") as visit:
        visit.drawn()
        for _ in range(2):
            visit.page.click("#theme")
        visit.page.reload()
        assert visit.page.evaluate("() => document.documentElement.dataset.theme") == "dark"
        assert visit.text("#theme") == "Dark"


SITE = {
    "fingerprint": "f", "site": "app.py:7 in <img src=x onerror=document.title='stolen'>", "share": 0.97,
    "frames": ["app.py:7 in handler", "app.py:99 in main"], "bytes_per_operation": 92.0, "confidence": "high",
    "held_by": ["list `seen` of app.handler"],
}  # fmt: skip


@pytest.fixture
def made_up() -> Iterator[tuple[RunStatus, str]]:
    """A status that is served and may be changed, and where."""
    status, loop = status_in_load(), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def done(work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(30)

    serving, _ = done(serve(status, "127.0.0.1", 0, lambda: ORIGIN_S + 60.0))
    yield status, serving.url
    done(serving.cleanup())
    loop.call_soon_threadsafe(loop.stop)
    thread.join(30)
    loop.close()


def test_a_site_that_a_deep_look_finds_is_shown_where_the_leak_is_as_text(
    made_up: tuple[RunStatus, str], browser: Any
) -> None:
    status, address = made_up
    with Visit(browser, address) as visit:
        visit.drawn()
        assert visit.page.locator(".site").count() == 0
        verdict = verdict_so_far()
        verdict["summary"] = "62% of the plan seen; cache-rust: reachable memory grows 92 B per operation [91, 93]"
        verdict["engines"][0]["checks"][0] |= {"so_far": "FAIL", "estimate": 92.0, "low": 91.0, "high": 93.0}
        status.apply_verdict(typed(verdict))
        visit.page.wait_for_selector("#engine-cache-rust[data-state='FAIL']")
        look = {"id": 1, "route": "python", "state": "done", "sites": [SITE]}
        status.fold([record("attribution", "cache-rust", 61.0, look)])
        visit.page.wait_for_selector("#engine-cache-rust .site")
        assert visit.text("#engine-cache-rust .site") == SITE["site"]
        assert "97% of the growth · 92 B/op" in visit.text("#engine-cache-rust .site-facts")
        assert SITE["site"] in visit.text("#findings")
        assert "stolen" not in visit.page.title()
        assert visit.complaints == []


def test_a_card_says_which_other_check_makes_its_state(made_up: tuple[RunStatus, str], browser: Any) -> None:
    status, address = made_up
    with Visit(browser, address) as visit:
        visit.drawn()
        verdict = verdict_so_far()
        verdict["engines"][0]["checks"] += [
            {"id": "evidence.coverage", "verdict": "INVALID", "estimate": 0.9495, "limit": 0.95, "unit": "ratio",
             "reason": "188 of 198 samples"},
            {"id": "cascade.latency", "verdict": "INVALID", "informational": True},
        ]  # fmt: skip
        verdict["engines"][1]["checks"].append({"id": "latency.p95", "verdict": "FAIL", "decides": False})
        status.apply_verdict(typed(verdict))
        visit.page.wait_for_selector("#engine-cache-rust[data-state='INVALID'] .breach")
        assert "evidence.coverage 95 %, limit 95 %; 188 of 198 samples" in visit.text("#engine-cache-rust .breach")
        assert visit.page.locator("#engine-cache-rust .breach").count() == 1
        assert visit.page.locator("#engine-control-leak .breach").count() == 0
        assert "latency.p95 informational" in visit.text("#engine-cache-python .breach"), "a rival decides nothing"
        assert violations(visit.page) == []


def test_a_run_that_ends_says_so_and_what_it_showed_stays(made_up: tuple[RunStatus, str], browser: Any) -> None:
    status, address = made_up
    with Visit(browser, address) as visit:
        visit.drawn()
        status.apply_verdict(typed(verdict_final()))
        visit.wait("() => document.querySelector('#state').innerText.trim() === 'Pass'")
        assert visit.text("#eyebrow") == "Verdict"
        assert visit.text("#reason").startswith("No leak, crash or breach of a limit in cache-rust")
        assert violations(visit.page) == []
