"""The line that leaks, on the page of a real soak, beside the verdict that turns red. A soak of its own, not shared."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser import Visit, chromium, needs_chromium
from tests.watched import WatchedSoak

pytestmark = [pytest.mark.integration, pytest.mark.slow, needs_chromium]

SOAK = """
[run]
name = "watched"
duration = "12min"
sample_every = "500ms"
collect_every = "1s"
[limits]
growth_per_operation = "16B"
[http]
port = {port}
[[engine]]
name = "session-store"
kind = "python"
factory = "soakd.worker.engines.planted:python_list_leak"
rate = 300
"""
LEAKY = "#engine-session-store"
WITHIN_MS = 480_000.0
"""For a look, and for a verdict so far: a minute or two each, more where the host is busy."""


@pytest.fixture
def soak(tmp_path: Path) -> Iterator[WatchedSoak]:
    running = WatchedSoak(tmp_path, SOAK)
    running.start()
    try:
        yield running
    finally:
        running.end(signal.SIGHUP)  # left unfinished: its verdict is nobody's question


def test_a_leak_turns_red_on_the_page_with_the_container_that_grows(soak: WatchedSoak) -> None:
    with chromium() as browser, Visit(browser, soak.address) as visit:
        visit.drawn()
        visit.wait("() => document.querySelector('#tiles').innerText.includes('load')", within_ms=WITHIN_MS)
        command = [sys.executable, "-m", "soakd", "snapshot", "run", "--engine", "session-store", "--deep"]
        told = subprocess.run(command, cwd=soak.folder, capture_output=True, text=True, timeout=480, check=False)
        assert told.returncode == 0, told.stdout + told.stderr
        visit.page.wait_for_selector(f"{LEAKY} .site", timeout=WITHIN_MS)
        assert "kept" in visit.text(f"{LEAKY} .site")
        assert "100 B/op" in visit.text(f"{LEAKY} .site-facts")
        visit.page.wait_for_selector(f"{LEAKY}[data-state='FAIL']", timeout=WITHIN_MS)
        assert "kept" in visit.text(f"{LEAKY} .site")
        assert "kept" in visit.text("#findings")
        assert visit.complaints == []
