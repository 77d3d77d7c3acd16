"""A real Prometheus scrapes a real soak: without a warning, every query of dashboards and rules answers, no alert."""

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

from soakd.live.metrics import FAMILIES
from tests.dashboards import (
    LABEL_VALUES,
    NAMES,
    RULE_FILES,
    RULES,
    alerts,
    dashboard,
    hurried,
    rules,
    selectors,
    substituted,
    targets,
)

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
latency_p95 = "5s"
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
rule_files: [recording.rules.yml, alerts.rules.yml]
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
ONLY_WITH_FAULTS = ("soakd_fault_", "soakd_faults_")
ONLY_WHERE_SOMETHING_FAILS = ("engine:soakd_growth_failing:state",)
ONLY_ON_A_HOST_OF_ITS_OWN = {"SoakdRateLow", "SoakdCoverageLow", "SoakdCpuHigh"}
"""Alerts that speak of the time that a soak gets: tests share their host with others."""
ONLY_WHERE_SOMETHING_GROWS = ("soakd_engine_time_to_limit_seconds",)
RIGHTLY_ABSENT = (
    "soakd_check_waived", "soakd_notifications_total",  # neither waivers nor [notify] in this configuration
    *NEVER_IN_THIS_RUN, *ONLY_WHERE_SOMETHING_GROWS, *ONLY_WITH_FAULTS,
    *(() if Path("/proc/pressure/cpu").exists() else ("soakd_host_cpu_pressure_", "soakd_host_memory_pressure_",
                                                      "soakd_host_io_pressure_")),
)  # fmt: skip
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


def wait_until(holds: Callable[[], Any], what: str, within_s: float = WITHIN_S) -> Any:
    """Ask again until there is an answer that is true; not being served yet is no answer."""
    deadline_s = time.monotonic() + within_s
    while time.monotonic() < deadline_s:
        with contextlib.suppress(OSError):
            if answer := holds():
                return answer
        time.sleep(0.2)
    raise AssertionError(f"not within {within_s:g}s: {what}")


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scraped]:
    """A soak that is in its load phase, judged once, and scraped; both end with the module."""
    folder = tmp_path_factory.mktemp("scraped")
    soak_port, port = free_port(), free_port()
    text = SOAK.format(port=soak_port) + (WITH_REDIS if HAS_REDIS else "")
    (folder / "soak.toml").write_text(text, encoding="utf-8")
    for name in RULE_FILES:
        hurried_rules = hurried((RULES / name).read_text(encoding="utf-8"))
        (folder / name).write_text(hurried_rules, encoding="utf-8")
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
        wait_until(lambda: fetch(f"{watched.prometheus}/-/ready"), "Prometheus is ready")
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
    assert [name for name in missing if not name.startswith(RIGHTLY_ABSENT)] == []


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


def rightly_empty(expression: str) -> bool:
    """Tell whether a query asks for what a healthy soak without faults does not have."""
    names = {selector.partition("{")[0] for selector in selectors(expression)}
    return any(name.startswith(RIGHTLY_ABSENT) for name in names)


def values_of(scraped: Scraped, engine: str) -> dict[str, str]:
    """Grafana's variables, as somebody who looks at one engine has them."""
    (run,) = scraped.get("query", query="soakd_run_info")["result"]
    return {
        "job": "soakd", "instance": ".+", "run": run["metric"]["run"], "engine": engine, "beside": ".+",
        "__rate_interval": "30s", "__range": "5m",
    }  # fmt: skip


def answers(scraped: Scraped, expression: str) -> bool:
    """Ask for one query, at once. An hour ago is seconds ago here; that nothing happened is an answer."""
    query = expression.replace("offset 1h", "offset 10s").replace("> 0", ">= 0")
    return bool(scraped.get("query", query=query)["result"])


@pytest.mark.parametrize("name", NAMES)
def test_every_query_of_every_panel_answers(scraped: Scraped, name: str) -> None:
    """Of `soakd-engine` for one engine at least: a cache in process has no server, and a server's client has one."""
    expressions = {target["expr"]: title for title, target in targets(dashboard(name))}
    assert len(expressions) > 40

    def silent() -> dict[str, str]:
        found = dict(expressions)
        for engine in ENGINES:
            values = values_of(scraped, engine)
            found = {e: title for e, title in found.items() if not answers(scraped, substituted(e, values))}
        return {e: title for e, title in found.items() if not rightly_empty(e)}

    with contextlib.suppress(AssertionError):
        wait_until(lambda: not silent(), "every panel has an answer")
    assert silent() == {}


@pytest.mark.parametrize("name", NAMES)
def test_every_panel_draws_over_time_what_it_says_at_once(scraped: Scraped, name: str) -> None:
    now = time.time()
    for title, target in targets(dashboard(name)):
        if target.get("range"):
            query = substituted(target["expr"], values_of(scraped, "cache"))
            scraped.get("query_range", query=query, start=str(now - 60), end=str(now), step="5")
        else:
            assert target["instant"], title


@pytest.mark.parametrize("name", NAMES)
def test_every_variable_has_values(scraped: Scraped, name: str) -> None:
    values, found = values_of(scraped, "cache"), {}
    for variable in dashboard(name)["templating"]["list"]:
        if variable["type"] == "query":
            matched = LABEL_VALUES.fullmatch(variable["query"])
            assert matched, variable["query"]
            query = f"count by ({matched[2]}) ({substituted(matched[1], values)})"
            found[variable["name"]] = {r["metric"][matched[2]] for r in scraped.get("query", query=query)["result"]}
    assert found["job"] == {"soakd"}
    assert found["run"] == {values["run"]}
    assert found.get("engine", set(ENGINES)) == found.get("beside", set(ENGINES)) == set(ENGINES)


@pytest.mark.parametrize("name", NAMES)
def test_every_annotation_can_be_asked_for_and_phases_are_seen(scraped: Scraped, name: str) -> None:
    values = values_of(scraped, "cache")
    for annotation in dashboard(name)["annotations"]["list"]:
        query = substituted(annotation["expr"], values)
        scraped.get("query", query=query)
        assert answers(scraped, query) or rightly_empty(query), annotation["name"]
    seen = scraped.get("query", query="soakd_run_phase == 1")["result"]
    assert [found["metric"]["phase"] for found in seen] == ["load"]


def test_every_recording_rule_records(scraped: Scraped) -> None:
    names = [rule["record"] for rule in rules() if "record" in rule]
    assert len(names) == 8
    wanted = [name for name in names if name not in ONLY_WHERE_SOMETHING_FAILS]
    wait_until(lambda: all(answers(scraped, name) for name in wanted), "every rule has recorded")


def test_everything_that_an_alert_asks_for_is_there_and_no_rule_has_an_error(scraped: Scraped) -> None:
    for alert in alerts():
        scraped.get("query", query=alert["expr"])
        for selector in selectors(alert["expr"]):
            metric = selector.partition("{")[0]
            if metric in ONLY_WHERE_SOMETHING_FAILS or "spike" in selector or rightly_empty(selector):
                continue
            assert answers(scraped, selector), f"{alert['alert']}: {selector}"
    groups = scraped.get("rules")["groups"]
    evaluated = [rule for group in groups for rule in group["rules"]]
    assert len(evaluated) == len(rules())
    assert [rule["name"] for rule in evaluated if rule["health"] != "ok" or rule.get("lastError")] == []


def test_a_healthy_soak_fires_no_alert(scraped: Scraped) -> None:
    wait_until(lambda: answers(scraped, "run:soakd_progress:ratio > 0.3"), "a third of the plan has been watched")
    ever = scraped.get("query", query='count by (alertname) (max_over_time(ALERTS{alertstate="firing"}[5m]))')["result"]
    fired = {found["metric"]["alertname"] for found in ever}
    assert fired - ONLY_ON_A_HOST_OF_ITS_OWN == set()
