"""Network engines and `authorize` in real workers: what they import, send, and do when their server goes."""

import asyncio
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from soakd.daemon.workers.worker import Worker
from soakd.wire.records import Record
from soakd.wire.spec import Phase, WorkerSpec
from tests.servers import on_a_loop, opa_server, redis_server

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parent.parent.parent
POLICIES = ROOT / "configs" / "policies"
RBAC = {"policy": [str(POLICIES / "rbac.rego")], "rule": "data.rbac.allow", "data": str(POLICIES / "rbac.json")}
NOBODY = "package rbac\n\ndefault allow := false\n"


def spec(kind: str, options: Mapping[str, Any], load_s: float = 2.0, **fields: Any) -> WorkerSpec:
    ends = itertools.accumulate((0.2, load_s, 0.2, 0.4, 0.3))
    names: Any = ("baseline", "load", "drain", "reload", "close")
    starts = itertools.accumulate((0.0, 0.2, load_s, 0.2, 0.4))
    phases = tuple(Phase(name=n, start_s=s, end_s=e) for n, s, e in zip(names, starts, ends, strict=True))
    return WorkerSpec(
        engine="under-test", kind=kind, role="subject", segment=0, seed=1, rate_per_s=100, profile="target",
        mix="standard", in_flight=64, phases=phases, sample_every_s=0.1, collect_every_s=0.5, snapshot_every_s=None,
        latency_every_s=1.0, options=options, **fields,
    )  # fmt: skip


async def lives(told: WorkerSpec, meanwhile: Callable[[], None] | None = None) -> tuple[list[Record], list[str], int]:
    """Let a worker live one life; return its records, its last words and its exit status."""
    records: list[Record] = []
    worker = Worker(told, records.append)
    worker.start(python=None, environment=os.environ | {"PYTHONPATH": str(ROOT)})
    try:
        async with asyncio.timeout(90):
            ended = asyncio.create_task(worker.ended())
            await asyncio.wait((ended, worker.hello), return_when=asyncio.FIRST_COMPLETED)
            worker.send_order({"go": time.monotonic()})
            if meanwhile is not None:
                await asyncio.to_thread(meanwhile)
            return records, list(worker.output.lines), await ended
    finally:
        worker.hello.cancel()
        worker.kill_group()
        worker.close()


def bodies(records: list[Record], kind: str) -> list[Mapping[str, Any]]:
    return [record.body for record in records if record.kind == kind]


def incidents(records: list[Record], what: str) -> list[Mapping[str, Any]]:
    return [body for body in bodies(records, "incident") if body.get("what") == what]


@on_a_loop
async def test_disagreements_arrive_as_incidents_with_their_input_and_are_counted(tmp_path: Path) -> None:
    (tmp_path / "old.rego").write_text(NOBODY, encoding="utf-8")
    with opa_server() as opa, redis_server(tmp_path) as redis:
        peers = {
            "regorus": {"kind": "policy.regorus", "options": RBAC},
            "native": {"kind": "cache.native", "options": {"capacity": 100}},
            "opa": {
                "kind": "policy.opa",
                "options": {"policy": [str(tmp_path / "old.rego")], "rule": "data.rbac.allow", "url": opa.url},
            },
            "redis": {"kind": "cache.redis", "options": {"url": redis.url}},
        }
        options = {
            "policy": "regorus", "cache": "native", "python_policy": "opa", "python_cache": "redis",
            "rollout_ratio": 0.5, "compare_ratio": 0.5,
        }  # fmt: skip
        records, said, status = await lives(spec("authorize", options, peers=peers))
    assert (status, said) == (0, [])
    found = incidents(records, "disagreement")
    assert 1 < len(found) <= 20
    assert all((finding["new"], finding["old"]) == (True, False) for finding in found)
    assert all(finding["input"]["user"] for finding in found)
    last = bodies(records, "sample")[-2 if bodies(records, "sample")[-1]["phase"] == "close" else -1]
    counted = {name: value for body in bodies(records, "sample") for name, value in body.items()}
    assert last["errors_total"] == 0
    assert counted["counter.disagreements_total"] >= len(found)
    assert counted["counter.compared_total"] > counted["counter.disagreements_total"]
    assert counted["counter.new_misses"] > 0 < counted["counter.old_misses"]


@pytest.mark.parametrize("kind", ["opa", "redis"])
@on_a_loop
async def test_a_server_that_dies_under_load_costs_its_time_and_no_more(kind: str, tmp_path: Path) -> None:
    with opa_server() if kind == "opa" else redis_server(tmp_path) as server:

        def kill_and_start() -> None:
            time.sleep(1.0)
            server.kill()
            time.sleep(0.5)
            server.start()

        options = RBAC | {"url": server.url} if kind == "opa" else {"url": server.url}
        full_kind = "policy.opa" if kind == "opa" else "cache.redis"
        records, said, status = await lives(spec(full_kind, options, load_s=4.0), kill_and_start)
    assert (status, said) == (0, [])
    assert bodies(records, "bye")[0]["stopped"] is False
    assert len(incidents(records, "operation_error")) <= 3, "examples, not a storm"
    totals = [body for body in bodies(records, "sample") if body["phase"] == "reload"][-1]
    assert 20 < totals["errors_total"] < 200
    assert totals["counter.connection_errors_total"] > totals["errors_total"]
    assert totals["counter.retries_total"] > 0
    errors = [body["errors_total"] for body in bodies(records, "sample")]
    assert errors[-1] == errors[-10], "it has recovered"


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("policy.opa", RBAC | {"url": "http://127.0.0.1:1"}, "http://127.0.0.1:1: Cannot connect to host"),
        ("cache.redis", {"url": "unix:///nowhere/r.sock"}, "unix:///nowhere/r.sock: Error 2 connecting to"),
        ("cache.redis", {}, "url: must begin with unix://"),
        ("policy.opa", {"url": "http://127.0.0.1:1"}, 'option "rule" must be given'),
        ("policy.opa", RBAC | {"inputs": "/nowhere.jsonl", "url": "http://127.0.0.1:1"}, "/nowhere.jsonl: cannot be"),
        ("policy.regorus", RBAC | {"inputs": "/nowhere.jsonl"}, "/nowhere.jsonl: cannot be read: No such file"),
    ],
)
@on_a_loop
async def test_what_cannot_start_is_an_incident_of_one_line(kind: str, options: dict[str, Any], message: str) -> None:
    records, _, status = await lives(spec(kind, options))
    assert status == 3
    (incident,) = incidents(records, "start_failed")
    assert message in incident["detail"]
    assert "\n" not in incident["detail"]
    assert "Error:" not in incident["detail"].partition(message)[0]


@on_a_loop
async def test_recorded_inputs_are_what_is_decided_on(tmp_path: Path) -> None:
    inputs = tmp_path / "inputs.jsonl"
    inputs.write_text("".join(json.dumps({"n": number}) + "\n" for number in range(10)), encoding="utf-8")
    (tmp_path / "p.rego").write_text("package p\n\ndefault allow := false\n\nallow if input.n < 3\n", encoding="utf-8")
    options = {"policy": [str(tmp_path / "p.rego")], "rule": "data.p.allow", "inputs": str(inputs)}
    records, said, status = await lives(spec("policy.regorus", options))
    assert (status, said) == (0, [])
    last = bodies(records, "sample")[-1]
    counted = {name: value for body in bodies(records, "sample") for name, value in body.items()}
    assert counted["counter.decisions"] == last["operations_total"] > 100
    assert counted["counter.allowed"] / counted["counter.decisions"] == pytest.approx(0.3, abs=0.03)


CARRIED = """
import sys
from soakd.worker.engines import build
from soakd.wire.spec import WorkerSpec
import soakd.worker.__main__
build(WorkerSpec.from_json(sys.argv[1]))
print(*{name.partition(".")[0] for name in sys.modules})
"""
OURS = {"aiohttp", "cachetools", "memray", "numpy", "prometheus_client", "psutil", "pympler", "redis", "rich", "scipy"}


@pytest.mark.parametrize(
    ("kind", "options", "brings"),
    [
        ("policy.opa", RBAC | {"url": "http://127.0.0.1:1"}, {"aiohttp"}),
        ("cache.redis", {"url": "redis://127.0.0.1:1"}, {"redis"}),
        ("policy.regorus", RBAC, set()),
        ("authorize", {"policy": "p", "cache": "n"}, set()),
        ("authorize", {"policy": "p", "cache": "r"}, {"redis"}),
    ],
)
def test_an_engine_brings_the_packages_that_it_needs_and_no_other(
    kind: str, options: dict[str, Any], brings: set[str]
) -> None:
    peers = {
        "p": {"kind": "policy.regorus", "options": RBAC},
        "n": {"kind": "cache.native", "options": {}},
        "r": {"kind": "cache.redis", "options": {"url": "redis://127.0.0.1:1"}},
    }
    told = spec(kind, options, peers=peers).to_json()
    asked = subprocess.run([sys.executable, "-c", CARRIED, told], cwd=ROOT, capture_output=True, text=True, check=False)
    assert asked.returncode == 0, asked.stderr
    assert set(asked.stdout.split()) & OURS == brings
