"""Dashboards, rules and provisioning. No Grafana runs here: what its own tools would refuse is looked for instead."""

import json
import re
import shutil
import subprocess
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana import build
from soakd.live.metrics import FAMILIES
from soakd.verdict.resolution import FINAL_FROM
from tests.dashboards import GRAFANA, NAMES, RULE_FILES, RULES, alerts, dashboard, panels, rules, selectors, targets

ROOT = GRAFANA.parent
UNITS = {"short", "none", "s", "percentunit", "decbytes", "ops"}
"""Units of Grafana that are used here; all of them base units that it scales itself."""
COUNTERS = {family.name for family in FAMILIES if family.type == "counter"}
BUCKETS = {f"{family.name}_bucket" for family in FAMILIES if family.type == "histogram"}
RATE = re.compile(r"\b(?:rate|increase)\((\w+)(?:\{[^}]*\})?\[([^\]]+)\]")

boards = pytest.mark.parametrize("name", NAMES)
needs_promtool = pytest.mark.skipif(
    not shutil.which("promtool"), reason="promtool is not on PATH (Debian: apt-get install prometheus)"
)


def read_yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def read_toml(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


COMPOSE = read_yaml(GRAFANA / "compose.yaml")


def differences(left: Any, right: Any, path: str = "") -> list[str]:
    """Where two trees of JSON differ; an empty object is as good as none."""
    if isinstance(left, dict) and isinstance(right, dict):
        keys = sorted(left.keys() | right.keys())
        inside = ((f"{path}.{key}", left.get(key, {}), right.get(key, {})) for key in keys)
        return [found for name, a, b in inside for found in differences(a, b, name)]
    if isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        pairs = enumerate(zip(left, right, strict=True))
        return [found for place, (a, b) in pairs for found in differences(a, b, f"{path}[{place}]")]
    return [] if left == right else [path]


@boards
def test_a_dashboard_is_what_the_script_builds(name: str, golden: Callable[[str, str], None]) -> None:
    golden(f"../../grafana/dashboards/{name}.json", build.dashboards()[name])


@boards
def test_a_dashboard_goes_through_the_sdk_without_loss(name: str) -> None:
    register_default_plugins()
    board = dashboard(name)
    again = json.loads(json.dumps(Dashboard.from_json(board), cls=JSONEncoder))
    lost = {re.sub(r"\[\d+\]", "", path) for path in differences(board, again)}
    assert lost == {f".annotations.list.{key}" for keys in build.ANNOTATION_KEYS.values() for key in keys}


@boards
def test_a_misspelt_key_would_be_lost_and_seen(name: str) -> None:
    register_default_plugins()
    board = dashboard(name)
    board["panels"][1]["fieldConfg"] = {"overrides": []}
    again = json.loads(json.dumps(Dashboard.from_json(board), cls=JSONEncoder))
    assert ".panels[1].fieldConfg.overrides" in differences(board, again)


@boards
def test_a_dashboard_can_be_provisioned_and_not_edited(name: str) -> None:
    board = dashboard(name)
    assert (board["uid"], board["editable"], board["timezone"]) == (name, False, "utc")
    assert len(board["uid"]) <= 40
    assert board["graphTooltip"] == 1, "a crosshair over all panels"
    assert board["tags"] == ["soakd"]
    assert board["title"]
    assert board["description"]
    assert "__inputs" not in board
    assert "id" not in board


@boards
def test_variables_choose_source_job_instance_and_run(name: str) -> None:
    variables = {variable["name"]: variable for variable in dashboard(name)["templating"]["list"]}
    assert list(variables)[:4] == ["datasource", "job", "instance", "run"]
    assert [v["name"] for v in variables.values() if v["type"] == "datasource"] == ["datasource"]
    assert variables["datasource"]["query"] == "prometheus"
    for each in ("job", "instance"):
        variable = variables[each]
        assert (variable["multi"], variable["includeAll"], variable["allValue"]) == (True, True, ".+")
    for variable in variables.values():
        assert variable["label"]
        if variable["type"] == "query":
            assert variable["refresh"] == 2, "read again when the time range changes"
            assert variable["datasource"]["uid"] == "$datasource"


@boards
def test_every_panel_has_title_description_unit_and_source(name: str) -> None:
    found = panels(dashboard(name))
    assert len(found) > 25
    for panel in found:
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS, panel["title"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "$datasource"}
        assert panel["targets"], panel["title"]
    titles = [panel["title"] for panel in found]
    assert sorted(set(titles)) == sorted(titles)


@boards
def test_panels_lie_beside_and_below_each_other(name: str) -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in dashboard(name)["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        for x in range(at["x"], at["x"] + at["w"]):
            for y in range(at["y"], at["y"] + at["h"]):
                assert taken.setdefault((x, y), panel["title"]) == panel["title"]


@boards
def test_every_query_is_of_one_run_and_rates_are_grafanas(name: str) -> None:
    for title, target in targets(dashboard(name)):
        for selector in selectors(target["expr"]):
            for matcher in ('job=~"$job"', 'instance=~"$instance"', 'run=~"$run"'):
                assert matcher in selector, f"{title}: {selector}"
        windows = {window for _, window in RATE.findall(target["expr"])}
        # one number over the time range that is shown has no steps to fit
        assert windows <= ({"$__rate_interval", "$__range"} if target.get("instant") else {"$__rate_interval"}), title
        assert target["datasource"]["uid"] == "$datasource"


@boards
def test_counters_are_only_shown_as_rates(name: str) -> None:
    annotations = [("annotation", a["expr"]) for a in dashboard(name)["annotations"]["list"]]
    for title, expression in [*((t, target["expr"]) for t, target in targets(dashboard(name))), *annotations]:
        named = [s.partition("{")[0] for s in selectors(expression)]
        counters = [metric for metric in named if metric in COUNTERS | BUCKETS]
        assert len(counters) == len([m for m, _ in RATE.findall(expression) if m in COUNTERS | BUCKETS]), title


@boards
def test_every_panel_of_latency_is_wide_enough_for_its_windows(name: str) -> None:
    for panel in panels(dashboard(name)):
        if any("_seconds_bucket" in target["expr"] for target in panel["targets"]):
            assert panel["interval"] == "2m", panel["title"]


def test_everything_that_is_asked_for_is_exported_or_recorded() -> None:
    known = {family.name for family in FAMILIES} | BUCKETS | {rule["record"] for rule in rules() if "record" in rule}
    asked = {s.partition("{")[0] for rule in rules() for s in selectors(rule["expr"])}
    for name in NAMES:
        board = dashboard(name)
        asked |= {s.partition("{")[0] for _, target in targets(board) for s in selectors(target["expr"])}
        asked |= {s.partition("{")[0] for a in board["annotations"]["list"] for s in selectors(a["expr"])}
    assert len(asked) > 40
    assert asked - known - {"up"} == set()


def test_everything_that_is_exported_is_shown_or_watched() -> None:
    text = "".join((GRAFANA / "dashboards" / f"{n}.json").read_text(encoding="utf-8") for n in NAMES)
    text += "".join((RULES / file).read_text(encoding="utf-8") for file in RULE_FILES)
    unused = {family.name for family in FAMILIES if family.name not in text}
    assert unused == {
        "soakd_build_info", "soakd_run_start_timestamp_seconds", "soakd_backend_info", "soakd_backend_swap_bytes",
        "soakd_backend_restarts_total", "soakd_notifications_total",
    }  # fmt: skip


def test_incidents_faults_restarts_and_phases_are_annotated_in_both() -> None:
    for name in NAMES:
        listed = [annotation["name"] for annotation in dashboard(name)["annotations"]["list"]]
        assert listed == ["Phases", "Incidents", "Restarts", "Faults"]


@boards
def test_links_lead_to_the_other_dashboard(name: str) -> None:
    (link,) = dashboard(name)["links"]
    assert re.fullmatch(r"/d/(soakd-run|soakd-engine)\?.*\$\{run:queryparam\}", link["url"])
    assert f"/d/{name}?" not in link["url"]


@needs_promtool
@pytest.mark.parametrize(
    "command",
    [
        ["promtool", "check", "rules", "--lint=all", "--lint-fatal", *RULE_FILES],
        ["promtool", "test", "rules", "alerts.test.yml"],
        ["promtool", "check", "config", "--lint=all", "--lint-fatal", "prometheus.yml"],
    ],
)
def test_promtool_accepts(command: list[str]) -> None:
    done = subprocess.run(command, cwd=RULES, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(
    not shutil.which("amtool"), reason="amtool is not on PATH (Debian: apt-get install prometheus-alertmanager)"
)
def test_alertmanager_accepts_its_configuration() -> None:
    command = ["amtool", "check-config", "alertmanager.yml"]
    done = subprocess.run(command, cwd=RULES, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_alertmanager_holds_back_only_alerts_that_there_are() -> None:
    sides = ("source_matchers", "target_matchers")
    rules_of_inhibition = read_yaml(RULES / "alertmanager.yml")["inhibit_rules"]
    names = {alert["alert"] for alert in alerts()}
    for matcher in (found for rule in rules_of_inhibition for side in sides for found in rule[side]):
        pattern = matcher.split("=")[-1].strip('~ "')
        assert any(re.fullmatch(pattern, name) for name in names), matcher


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_every_alert_is_tested_both_ways_and_has_its_section(alert: Mapping[str, Any]) -> None:
    name = alert["alert"]
    tests = read_yaml(RULES / "alerts.test.yml")["tests"]
    cases = [case for test in tests for case in test["alert_rule_test"] if case["alertname"] == name]
    assert any(case["exp_alerts"] for case in cases)
    assert any(not case["exp_alerts"] for case in cases)
    assert alert["labels"]["severity"] in ("critical", "warning", "info")
    assert alert["annotations"].keys() == {"summary", "description", "runbook_url"}
    page, _, anchor = alert["annotations"]["runbook_url"].partition("#")
    sections = re.findall(r"^## (\w+)$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
    assert anchor == name.lower()
    assert name in sections


def test_the_page_of_alerts_has_no_other_section() -> None:
    sections = re.findall(r"^## (\w+)$", (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sections == [alert["alert"] for alert in alerts()]


def test_growth_is_critical_only_from_the_share_of_the_plan_on_from_which_it_is_judged() -> None:
    expressions = {alert["alert"]: alert["expr"] for alert in alerts()}
    assert f"run:soakd_progress:ratio >= {FINAL_FROM:g}" in expressions["SoakdGrowthAboveLimit"]
    assert f"run:soakd_progress:ratio < {FINAL_FROM:g}" in expressions["SoakdGrowthAboveLimitSoFar"]
    for name in ("SoakdGrowthAboveLimit", "SoakdGrowthAboveLimitSoFar"):
        assert "engine:soakd_growth_low:bytes_per_second" in expressions[name], "the lower bound"


def test_compose_mounts_what_is_there_and_runs_the_grafana_that_the_dashboards_are_for() -> None:
    services = COMPOSE["services"]
    assert services.keys() == {"prometheus", "alertmanager", "grafana", "soakd"}
    for service in services.values():
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            assert (GRAFANA / source).exists() if source.startswith(".") else source in COMPOSE["volumes"], volume
        assert service["network_mode"] == "host"
    dependencies = read_toml(ROOT / "pyproject.toml")["dependency-groups"]["dev"]
    (pinned,) = (text for text in dependencies if text.startswith("grafana-foundation-sdk"))
    assert re.fullmatch(r"grafana-foundation-sdk==\d+!(\d+\.\d+\.\d+)", pinned)
    assert services["grafana"]["image"] == f"grafana/grafana:{pinned.partition('!')[2]}"
    assert (GRAFANA / services["soakd"]["build"]["context"] / services["soakd"]["build"]["dockerfile"]).exists()


def test_provisioning_reads_the_folders_that_compose_mounts() -> None:
    mounts = [volume.split(":")[1] for volume in COMPOSE["services"]["grafana"]["volumes"]]
    (provider,) = read_yaml(GRAFANA / "provisioning" / "dashboards" / "soakd.yaml")["providers"]
    assert provider["options"]["path"] in mounts
    assert "/etc/grafana/provisioning" in mounts
    (source,) = read_yaml(GRAFANA / "provisioning" / "datasources" / "prometheus.yaml")["datasources"]
    assert source["type"] == "prometheus"
    assert source["jsonData"]["timeInterval"] == read_yaml(RULES / "prometheus.yml")["global"]["scrape_interval"]
    listening = f"--web.listen-address={source['url'].removeprefix('http://')}"
    assert listening in COMPOSE["services"]["prometheus"]["command"]


def test_prometheus_looks_where_the_release_soak_serves() -> None:
    release = read_toml(ROOT / "configs" / "release.toml")
    (job,) = read_yaml(RULES / "prometheus.yml")["scrape_configs"]
    assert job["job_name"] == "soakd"
    assert job["static_configs"] == [{"targets": [f"127.0.0.1:{release['http']['port']}"]}]
