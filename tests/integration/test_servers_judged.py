"""A server that leaks is caught where it is to be judged, and the same server without the leak passes."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.quiet("a server that is asked 300 times a second, all the time, by two engines at once"),
]

SERVER = Path(__file__).parents[1] / "engines" / "policy_server.py"
SOAK = """
[run]
duration = "48s"
sample_every = "500ms"
collect_every = "1s"
snapshot_every = "off"
controls_off = ["leak"]
[limits]
growth_per_operation = "1kB"
latency_p95 = "1s"
cpu_ratio = 2.0
latency_drift_ratio = 1000
"""
ENGINE = """
[[engine]]
name = "{name}"
kind = "policy.opa"
role = "subject"
rate = 300
[engine.options]
policy = "p.rego"
rule = "data.p.allow"
binary = "opa"
version = "any"
judge_server = true
args = [{args}]
"""


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Both builds under one soak; what the verdict says of each."""
    folder = tmp_path_factory.mktemp("judged")
    (folder / "p.rego").write_text("package p\n\nallow := true\n", encoding="utf-8")
    program = folder / "opa"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{SERVER}" "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    text = SOAK + ENGINE.format(name="leaking", args='"--keep", "4000"') + ENGINE.format(name="clean", args="")
    (folder / "soak.toml").write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "soakd", "run", "soak.toml", "--run-dir", "run"], cwd=folder, capture_output=True,
        text=True, check=False, timeout=300,
    )  # fmt: skip
    verdict = json.loads((folder / "run" / "verdict.json").read_text(encoding="utf-8"))
    assert done.returncode in (1, 4), done.stdout + done.stderr
    return {engine["name"]: engine for engine in verdict["engines"]}


def checks(engine: dict[str, Any]) -> dict[str, Any]:
    return {check["id"]: check for check in engine["checks"]}


def test_a_server_that_leaks_fails_and_is_named_as_what_grows(engines: dict[str, Any]) -> None:
    found = checks(engines["leaking"])
    for name in ("growth.server_rss_anon_bytes", "growth.server_live_bytes"):
        assert found[name]["verdict"] == "FAIL", found[name]
        assert 3_500 <= found[name]["estimate"] <= 4_800
        assert not found[name].get("informational")
    assert engines["leaking"]["verdict"] == "FAIL"
    assert engines["leaking"]["class"] == "server_leak"


def test_the_same_server_without_the_leak_passes(engines: dict[str, Any]) -> None:
    found = checks(engines["clean"])
    assert found["growth.server_rss_anon_bytes"]["verdict"] == "PASS", found["growth.server_rss_anon_bytes"]
    assert found["growth.server_live_bytes"]["verdict"] == "PASS"
    assert engines["clean"]["class"] != "server_leak"
    assert engines["clean"]["verdict"] != "FAIL", engines["clean"]
