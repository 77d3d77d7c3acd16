"""What is in the dashboards and rules: panels, queries, selectors; with Grafana's variables put in."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

GRAFANA = Path(__file__).parents[1] / "grafana"
RULES = GRAFANA / "prometheus"
RULE_FILES = ("recording.rules.yml", "alerts.rules.yml")
NAMES = ("soakd-run", "soakd-engine")
SELECTOR = re.compile(r"((?:\w+:)?soakd_\w+(?::\w+)?|up)\b(\{[^}]*\})?")
LABEL_VALUES = re.compile(r"label_values\((.+), (\w+)\)")


def dashboard(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((GRAFANA / "dashboards" / f"{name}.json").read_text(encoding="utf-8"))
    return loaded


def panels(board: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every panel but the rows."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def targets(board: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Title of the panel, and each of its queries."""
    for panel in panels(board):
        for target in panel["targets"]:
            yield panel["title"], target


def rules(file: str | None = None) -> list[dict[str, Any]]:
    files = RULE_FILES if file is None else (file,)
    trees = (yaml.safe_load((RULES / name).read_text(encoding="utf-8")) for name in files)
    return [rule for tree in trees for group in tree["groups"] for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    return rules("alerts.rules.yml")


def substituted(expression: str, values: Mapping[str, str]) -> str:
    """Put values in for Grafana's variables, the longest names first."""
    for name in sorted(values, key=len, reverse=True):
        expression = expression.replace(f"${name}", values[name])
    assert "$" not in re.sub(r'"\$\d"', "", expression), expression
    return expression


def selectors(expression: str) -> list[str]:
    """The metrics that an expression asks for, each with its matchers."""
    return [name + (matchers or "") for name, matchers in SELECTOR.findall(expression)]


def hurried(text: str) -> str:
    """Rules for a test's soak: minutes are seconds, windows half a minute, and they are evaluated every second."""
    text = re.sub(r"\bfor: (\d+)m\b", r"for: \1s", text)
    text = re.sub(r"\[(?:5|10)m\]", "[30s]", text)
    return re.sub(r"interval: 30s", "interval: 1s", text)
