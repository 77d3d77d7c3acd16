"""A planted leak is told to somebody: soak, Prometheus, Alertmanager and webhook, all real; its twin is not spoken of.

The shipped rules, with minutes made seconds (`tests.dashboards.hurried`): nothing else of them is changed.
"""

import contextlib
import http.server
import json
import queue
import shutil
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.dashboards import RULE_FILES, RULES, hurried
from tests.integration.test_prometheus import Scraped, fetch, free_port, process, wait_until

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.skipif(
        not (shutil.which("prometheus") and shutil.which("prometheus-alertmanager")),
        reason="prometheus and prometheus-alertmanager are not on PATH (Debian: apt-get install both)",
    ),
]

SOAK = """
[run]
name = "planted"
duration = "90s"
sample_every = "250ms"
collect_every = "500ms"
snapshot_every = "off"
controls_off = ["null", "leak"]   # both engines are known here
[limits]
growth_per_operation = "40B"
latency_p95 = "5s"
[http]
port = {port}
[[engine]]
name = "leak"
kind = "python"
factory = "soakd.worker.engines.planted:python_list_leak"
rate = 400
options = {{ bytes_per_operation = 1000 }}
[[engine]]
name = "twin"
kind = "python"
factory = "soakd.worker.engines.planted:python_list_twin"
rate = 400
options = {{ bytes_per_operation = 1000 }}
"""
SCRAPING = """
global:
  scrape_interval: 1s
rule_files: [recording.rules.yml, alerts.rules.yml]
alerting:
  alertmanagers:
    - static_configs:
        - targets: ["127.0.0.1:{manager}"]
scrape_configs:
  - job_name: soakd
    static_configs:
      - targets: ["127.0.0.1:{soak}"]
"""
ROUTING = """
route:
  receiver: test
  group_by: [alertname]
  group_wait: 0s
  group_interval: 1s
receivers:
  - name: test
    webhook_configs:
      - url: http://127.0.0.1:{hook}/
"""


@dataclass
class Hook:
    """What Alertmanager posted: alerts as they came."""

    port: int
    told: "queue.SimpleQueue[dict[str, Any]]" = field(default_factory=queue.SimpleQueue)
    alerts: list[dict[str, Any]] = field(default_factory=list)

    def named(self, name: str) -> list[dict[str, Any]]:
        """Every alert of that name so far."""
        with contextlib.suppress(queue.Empty):
            while True:
                self.alerts += self.told.get_nowait()["alerts"]
        return [alert for alert in self.alerts if alert["labels"]["alertname"] == name]


@contextlib.contextmanager
def webhook() -> Iterator[Hook]:
    """Listen for Alertmanager until the end of the block."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            hook.told.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        hook = Hook(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield hook
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Scraped, Hook]]:
    """A soak of a leak and its twin, watched and told of; all ends with the module."""
    folder = tmp_path_factory.mktemp("alerts")
    soak, port, manager = free_port(), free_port(), free_port()
    for name in RULE_FILES:
        (folder / name).write_text(hurried((RULES / name).read_text(encoding="utf-8")), encoding="utf-8")
    (folder / "soak.toml").write_text(SOAK.format(port=soak), encoding="utf-8")
    (folder / "prometheus.yml").write_text(SCRAPING.format(soak=soak, manager=manager), encoding="utf-8")
    with contextlib.ExitStack() as started:
        hook = started.enter_context(webhook())
        (folder / "alertmanager.yml").write_text(ROUTING.format(hook=hook.port), encoding="utf-8")
        for command in (
            ["prometheus-alertmanager", "--config.file=alertmanager.yml", "--storage.path=alerts",
             f"--web.listen-address=127.0.0.1:{manager}", "--cluster.listen-address="],
            ["prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data",
             f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"],
            [sys.executable, "-m", "soakd", "run", "soak.toml", "--run-dir", "out", "--log-level", "warning"],
        ):  # fmt: skip
            started.enter_context(process(command, folder, folder / f"{Path(command[0]).name}.log"))
        watched = Scraped(f"http://127.0.0.1:{soak}", f"http://127.0.0.1:{port}", folder / "prometheus.log")
        wait_until(lambda: fetch(f"{watched.prometheus}/-/ready"), "Prometheus is ready")
        yield watched, hook


def test_a_leak_is_a_warning_before_80_percent_of_the_plan_and_critical_from_then_on(
    told: tuple[Scraped, Hook],
) -> None:
    watched, hook = told
    (warning, *_) = wait_until(lambda: hook.named("SoakdGrowthAboveLimitSoFar"), "a warning of the leak")
    assert not hook.named("SoakdGrowthAboveLimit"), "before 80 % of the plan nothing is critical"
    assert warning["labels"]["engine"] == "leak"
    assert warning["labels"]["severity"] == "warning"
    (critical, *_) = wait_until(lambda: hook.named("SoakdGrowthAboveLimit"), "the leak is critical")
    assert watched.query("max_over_time(run:soakd_progress:ratio[1m])")[""] >= 0.8
    labels = critical["labels"]
    assert (critical["status"], labels["engine"], labels["severity"]) == ("firing", "leak", "critical")
    assert labels["signal"] in ("reachable_bytes", "resident_bytes")
    assert critical["annotations"]["runbook_url"] == "docs/alerts.md#soakdgrowthabovelimit"
    assert critical["annotations"]["summary"].startswith("leak leaks: ")


def test_nothing_is_said_of_the_growth_of_its_twin(told: tuple[Scraped, Hook]) -> None:
    _, hook = told
    assert hook.named("SoakdGrowthAboveLimit"), "the chain works"
    growth = [alert["labels"] for alert in hook.alerts if "Growth" in alert["labels"]["alertname"]]
    assert {labels["engine"] for labels in growth} == {"leak"}
