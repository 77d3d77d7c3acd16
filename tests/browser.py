"""A real browser for tests: Debian's Chromium, driven by playwright, which never downloads one of its own."""

import contextlib
import shutil
from collections.abc import Iterator
from typing import Any, Self

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH (Debian: apt-get install chromium)")
WITHIN_MS = 120_000.0
"""How long a page may take for anything: its host is shared."""
FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
"""It shows nothing but pages of ours, perhaps as root, perhaps in a container without namespaces."""


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """Start a browser; it ends with the block."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS, timeout=WITHIN_MS)
        try:
            yield browser
        finally:
            browser.close()


class Visit:
    """A page that is looked at, and everything that its browser complains of."""

    def __init__(
        self, browser: Any, address: str, *, width: int = 1280, height: int = 900, theme: str = "light"
    ) -> None:
        self.context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme)
        self.context.set_default_timeout(WITHIN_MS)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(address)

    def text(self, selector: str) -> str:
        """The text of the first element that is found."""
        found: str = self.page.inner_text(selector)
        return found

    def wait(self, condition: str, argument: Any = None, within_ms: float = WITHIN_MS) -> None:
        """Wait until a JavaScript expression is true in the page."""
        self.page.wait_for_function(condition, arg=argument, timeout=within_ms)

    def drawn(self) -> None:
        """Wait until engines have their cards, and the first of them its charts, which come when it is looked at."""
        self.page.wait_for_selector(".card")
        self.look_at(".card:first-child")
        self.page.wait_for_selector(".card:first-child .u-wrap canvas")

    def look_at(self, selector: str) -> None:
        """Scroll to an element."""
        self.page.evaluate(
            "selector => document.querySelector(selector).scrollIntoView({behavior: 'instant'})", selector
        )

    def _heard(self, said: Any) -> None:
        if said.type in ("error", "warning"):
            self.complaints.append(said.text)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()


def violations(page: Any) -> list[str]:
    """What axe finds in a page by the rules of WCAG 2.1 A and AA: rule and place."""
    from axe_playwright_python.sync_playwright import Axe

    rules = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}}
    found = Axe().run(page, options=rules).response["violations"]
    return [f"{one['id']}: {node['target']} {node['failureSummary']}" for one in found for node in one["nodes"]]
