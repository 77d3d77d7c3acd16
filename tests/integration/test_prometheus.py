"""A real Prometheus scrapes a real soak: no error, no warning, and every query that a dashboard makes has an answer."""

import contextlib
import json
import math
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from soakd.metrics import FAMILIES

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        not (shutil.which("prometheus") and shutil.which("promtool")),
        reason="prometheus and promtool are not on PATH (Debian: apt-get install prometheus)",
    ),
]

EXAMPLES = Path(__file__).parents[2] / "examples"
RATE, CHAT_RATE = 400, 50
SOAK = f"""
[run]
name = "scraped"
duration = "6min"
sample_every = "200ms"
collect_every = "500ms"
snapshot_every = "30s"
[limits]
growth_per_operation = "16B"
[http]
port = {{port}}
[[engine]]
name = "cache"
kind = "cache.native"
rate = {RATE}
options = {{{{ capacity = 1000 }}}}
[[engine]]
name = "odd.name-1"
kind = "python"
factory = "chat:make"
path = ["{EXAMPLES}"]
rate = {CHAT_RATE}
"""
WITH_REDIS = """
[[engine]]
name = "redis"
kind = "cache.redis"
rate = 50
options = { capacity = 1000 }
"""
HAS_REDIS = shutil.which("redis-server") is not None
ENGINES = ["cache", "odd.name-1", "control-null", "control-leak", *(["redis"] if HAS_REDIS else [])]
SCRAPING = """
global:
  scrape_interval: 1s
scrape_configs:
  - job_name: soakd
    static_configs:
      - targets: ["127.0.0.1:{port}"]
"""
NEVER_IN_THIS_RUN = (
    "soakd_backend_recovery_", "soakd_engine_reloads_", "soakd_engine_served_by_other_", "soakd_engine_compared_",
    "soakd_engine_disagreements_",
    *(() if HAS_REDIS else ("soakd_backend_", "soakd_engine_retries_", "soakd_engine_timeouts_",
                            "soakd_engine_connection_errors_")),
)  # fmt: skip
"""Of servers that broke, and of engines that compare two paths."""
ONLY_WHERE_SOMETHING_GROWS = ("soakd_engine_time_to_limit_seconds",)
WITHIN_S = 150.0


@dataclass
class Scraped:
    """A soak that goes on, and a Prometheus that watches it."""

    soak: str
    prometheus: str
    log: Path

    def get(self, path: str, **parameters: str) -> Any:
        """Ask Prometheus' API; returns its data."""
        address = f"{self.prometheus}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            answer = json.loads(fetch(address))
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path} {parameters}: {error.read().decode()}") from error
        assert answer["status"] == "success", answer
        assert not answer.get("warnings"), answer
        return answer["data"]

    def query(self, expression: str) -> dict[str, float]:
        """Answer an instant query: engine ("" where there is none) -> value."""
        result = self.get("query", query=expression)["result"]
        return {found["metric"].get("engine", ""): float(found["value"][1]) for found in result}


def fetch(address: str) -> str:
    with urllib.request.urlopen(address, timeout=5) as answer:
        text: str = answer.read().decode()
        return text


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def wait_until(holds: Callable[[], Any], what: str) -> Any:
    """Ask again until there is an answer that is true; not being served yet is no answer."""
    deadline_s = time.monotonic() + WITHIN_S
    while time.monotonic() < deadline_s:
        with contextlib.suppress(OSError):
            if answer := holds():
                return answer
        time.sleep(0.2)
    raise AssertionError(f"not within {WITHIN_S:g}s: {what}")


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scraped]:
    """A soak that is in its load phase, judged once, and scraped; both end with the module."""
    folder = tmp_path_factory.mktemp("scraped")
    soak_port, port = free_port(), free_port()
    text = SOAK.format(port=soak_port) + (WITH_REDIS if HAS_REDIS else "")
    (folder / "soak.toml").write_text(text, encoding="utf-8")
    (folder / "prometheus.yml").write_text(SCRAPING.format(port=soak_port), encoding="utf-8")
    soak = [sys.executable, "-m", "soakd", "run", "soak.toml", "--run-dir", "out", "--log-level", "warning"]
    prometheus = [
        "prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data",
        f"--web.listen-address=127.0.0.1:{port}", "--log.level=debug",
    ]  # fmt: skip
    log = folder / "prometheus.log"
    with contextlib.ExitStack() as started:
        started.enter_context(process(soak, folder, folder / "soak.log"))
        watched = Scraped(f"http://127.0.0.1:{soak_port}", f"http://127.0.0.1:{port}", log)
        wait_until(lambda: "soakd_run_elapsed_seconds" in fetch(f"{watched.soak}/metrics"), "the soak has begun")
        started.enter_context(process(prometheus, folder, log))
        wait_until(lambda: watched.query("rate(soakd_engine_service_seconds_count[10s]) > 0"), "latency was scraped")
        wait_until(lambda: watched.query("soakd_engine_growth_bytes_per_operation"), "the judge's answer was scraped")
        wait_until(lambda: watched.query("soakd_engine_proportional_memory_bytes"), "a snapshot was scraped")
        yield watched


@contextlib.contextmanager
def process(command: list[str], folder: Path, log: Path) -> Iterator[None]:
    """Run a command until the end of the block."""
    with open(log, "w", encoding="utf-8") as file:
        started = subprocess.Popen(command, cwd=folder, stdout=file, stderr=file, start_new_session=True)
        try:
            yield
        finally:
            started.terminate()
            try:
                started.wait(30)
            except subprocess.TimeoutExpired:
                started.kill()
                started.wait()


def families(text: str) -> Mapping[str, set[str]]:
    """Family -> the names of its series, as one scrape has them."""
    found = text_string_to_metric_families(text)
    return {family.name: {sample.name for sample in family.samples} for family in found}


def test_the_target_is_up_and_its_scrapes_have_no_error(scraped: Scraped) -> None:
    (target,) = scraped.get("targets", state="active")["activeTargets"]
    assert (target["health"], target["lastError"]) == ("up", "")
    assert scraped.query('up{job="soakd"}') == {"": 1.0}
    names = {name for series in families(fetch(f"{scraped.soak}/metrics")).values() for name in series}
    assert scraped.query('scrape_samples_post_metric_relabeling{job="soakd"}')[""] >= len(names)


def test_prometheus_has_nothing_to_complain_of(scraped: Scraped) -> None:
    lines = scraped.log.read_text(encoding="utf-8").splitlines()
    assert any("Server is ready" in line for line in lines), "the log is read"
    assert [line for line in lines if "level=warn" in line or "level=error" in line or "err=" in line] == []


def test_promtool_finds_nothing_to_mend_in_a_live_scrape(scraped: Scraped) -> None:
    text = fetch(f"{scraped.soak}/metrics")
    done = subprocess.run(["promtool", "check", "metrics"], input=text, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_a_soak_exports_every_family_that_it_has_a_source_for(scraped: Scraped) -> None:
    exported = families(fetch(f"{scraped.soak}/metrics"))
    missing = [family.name for family in FAMILIES if family.name.removesuffix("_total") not in exported]
    assert [name for name in missing if not name.startswith((*NEVER_IN_THIS_RUN, *ONLY_WHERE_SOMETHING_GROWS))] == []


def test_every_series_of_a_scrape_can_be_queried(scraped: Scraped) -> None:
    names = {name for series in families(fetch(f"{scraped.soak}/metrics")).values() for name in series}
    assert len(names) > 30
    assert [name for name in names if not scraped.get("query", query=name)["result"]] == []


def test_prometheus_knows_type_and_help_of_every_family(scraped: Scraped) -> None:
    known = scraped.get("metadata")
    told = {name: (entries[0]["type"], entries[0]["help"]) for name, entries in known.items()}
    for family in FAMILIES:
        if family.name in told:
            assert told[family.name] == (family.type.replace("info", "gauge"), f"{family.meaning}.")
    assert {"soakd_engine_operations_total", "soakd_engine_service_seconds", "soakd_build_info"} <= told.keys()


def test_the_rate_of_operations_is_the_configured_one(scraped: Scraped) -> None:
    expression = 'sum by (engine) (rate(soakd_engine_operations_total{outcome="ok"}[10s]))'
    rates = wait_until(
        lambda: (found := scraped.query(expression)) and found["cache"] > RATE / 2 and found,
        "ten seconds of load were scraped",
    )
    assert rates["cache"] < RATE * 1.5
    assert 0.0 < rates["odd.name-1"] < CHAT_RATE * 1.5
    assert scraped.query('soakd_engine_planned_operations_per_second{engine="cache"}') == {"cache": RATE}


@pytest.mark.parametrize("what", ["service", "response"])
def test_quantiles_of_latency_answer(scraped: Scraped, what: str) -> None:
    by = f"sum by (engine, le) (rate(soakd_engine_{what}_seconds_bucket[20s]))"
    wait_until(
        lambda: len(scraped.query(f"sum by (engine) ({by}) > 0")) == len(ENGINES), "every engine's latency was scraped"
    )
    medians, high = (scraped.query(f"histogram_quantile({q}, {by})") for q in (0.5, 0.99))
    assert 0.0 < medians["cache"] <= high["cache"] <= 10.0
    assert math.isfinite(high["odd.name-1"])
    mean_s = scraped.query(f"rate(soakd_engine_{what}_seconds_sum[20s]) / rate(soakd_engine_{what}_seconds_count[20s])")
    assert 0.0 < mean_s["cache"] < 10.0


def test_the_growth_of_the_leak_control_is_above_that_of_the_null_control(scraped: Scraped) -> None:
    growth = wait_until(
        lambda: (
            (found := scraped.query('soakd_engine_growth_bytes_per_operation{signal="reachable_bytes"}'))
            and {"control-null", "control-leak"} <= found.keys()
            and found
        ),
        "both controls were judged",
    )
    assert growth["control-leak"] > 16.0 > growth["control-null"]


@pytest.mark.skipif(not HAS_REDIS, reason="redis-server is not on PATH (Debian: apt-get install redis-server)")
def test_the_memory_of_a_server_is_scraped_apart_from_that_of_its_client(scraped: Scraped) -> None:
    (server,) = scraped.query('soakd_backend_resident_memory_bytes{engine="redis", backend="redis"}').values()
    (client,) = scraped.query('soakd_engine_resident_memory_bytes{engine="redis"}').values()
    assert 1e6 < server < 1e8
    assert server != client
    (live,) = scraped.query("soakd_backend_live_bytes").values()
    assert 0 < live < server
    assert scraped.query("soakd_backend_up") == {"redis": 1.0}


def test_states_are_one_of_five_and_the_verdict_is_incomplete(scraped: Scraped) -> None:
    states = scraped.get("query", query="soakd_verdict_state == 1")["result"]
    assert [found["metric"]["state"] for found in states] == ["INCOMPLETE"]
    assert set(scraped.query("sum by (engine, check) (soakd_check_state)").values()) == {1.0}


def test_promtool_queries_like_anybody_else(scraped: Scraped) -> None:
    done = subprocess.run(
        ["promtool", "query", "instant", scraped.prometheus, "sum(soakd_engine_up)"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{{}} => {len(ENGINES)} @"), done.stdout
