"""The native policy beside OPA over HTTP and beside regopy, and `authorize` as it ships: a part of `bench_rivals`."""

import asyncio
import itertools
import json
import shutil
import socket
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from soakd import _native
from soakd.wire.spec import WorkerSpec
from soakd.worker.engines import build
from soakd.worker.load.mixes import MIXES
from soakd.worker.load.tape import make_operations

POLICIES = Path(__file__).parent.parent / "configs" / "policies"
CASES = {"rbac": "standard", "tenants": "complex"}
"""Policy -> the mix whose inputs it decides on."""
OPA_TARGETS = {"rbac": 15.0, "tenants": 6.0}
AUTHORIZE_TARGETS = {"rbac": 300_000, "tenants": 120_000}
GROWTH_TARGET_BYTES, EVALUATIONS = 64 * 1024, 200_000
"""The target is for 2 million evaluations: a tenth of them here, and a tenth of it."""

Row = tuple[str, float, str, str]


def rows() -> Iterator[Row]:
    """Give (what, value, unit, remark)."""
    for name, mix in CASES.items():
        inputs = [op.input for op in make_operations(1, MIXES[mix], 2_000)]
        ours = _ours(name)
        decide_us = _p50_us(ours.decide, inputs)
        yield f"{name}, p50: ours", decide_us, "us", ""
        yield from _regopy_row(name, inputs, decide_us)
        yield from _opa_row(name, inputs, decide_us)
        yield from _authorize_row(name, mix)
    yield from _growth_row()


def _files(name: str) -> tuple[str, Any]:
    source = (POLICIES / f"{name}.rego").read_text(encoding="utf-8")
    return source, json.loads((POLICIES / f"{name}.json").read_text(encoding="utf-8"))


def _ours(name: str) -> _native.Policy:
    source, data = _files(name)
    return _native.Policy({f"{name}.rego": source}, f"data.{name}.allow", data)


def _p50_us(decide: Callable[[Any], object], inputs: list[Any]) -> float:
    taken = []
    for given in inputs:
        start_ns = time.perf_counter_ns()
        decide(given)
        taken.append(time.perf_counter_ns() - start_ns)
    return statistics.median(taken) / 1000


def _regopy_row(name: str, inputs: list[Any], ours_us: float) -> Iterator[Row]:
    from regopy import Interpreter

    source, data = _files(name)
    rego = Interpreter()
    rego.add_module(name, source)
    rego.add_data(data)
    bundle = rego.build(f"x := data.{name}.allow")  # compiled once; `query` would compile at each call

    def decide(given: Any) -> object:
        rego.set_input(given)
        return rego.query_bundle(bundle)

    took = _p50_us(decide, inputs[:200])
    yield f"{name}, p50: regopy", took, "us", f"{took / ours_us:.1f}x"


def _opa_row(name: str, inputs: list[Any], ours_us: float) -> Iterator[Row]:
    program = shutil.which("opa") or next((str(found) for found in sorted(Path(".tools").glob("opa-*/opa"))), None)
    if program is None:
        yield f"{name}, p50: OPA", float("nan"), "", "SKIPPED: no opa on PATH or in .tools"
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    files = [str(POLICIES / f"{name}.{ending}") for ending in ("rego", "json")]
    command = [program, "run", "--server", "--log-level", "error", "--addr", f"127.0.0.1:{port}", *files]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        took = asyncio.run(_opa_p50_us(f"http://127.0.0.1:{port}", name, inputs))
    finally:
        server.terminate()
        server.wait()
    target = OPA_TARGETS[name]
    met = "met" if took / ours_us >= target else "MISSED"
    yield f"{name}, p50: OPA through aiohttp", took, "us", f"{took / ours_us:.1f}x, target >= {target:g}: {met}"


async def _opa_p50_us(url: str, name: str, inputs: list[Any]) -> float:
    from aiohttp import ClientConnectionError, ClientSession

    taken = []
    async with ClientSession(url) as session:
        for _ in range(200):
            try:
                await session.get("/health")
                break
            except ClientConnectionError:
                await asyncio.sleep(0.05)
        for given in inputs:
            start_ns = time.perf_counter_ns()
            async with session.post(f"/v1/data/{name}/allow", json={"input": given}) as response:
                answer = await response.json()
            taken.append(time.perf_counter_ns() - start_ns)
            assert "result" in answer, answer
    return statistics.median(taken) / 1000


def _authorize_row(name: str, mix: str) -> Iterator[Row]:
    policy = {
        "policy": str(POLICIES / f"{name}.rego"),
        "data": str(POLICIES / f"{name}.json"),
        "rule": f"data.{name}.allow",
    }
    spec = WorkerSpec(
        engine="authorize", kind="authorize", role="subject", segment=0, seed=1, rate_per_s=1.0, profile="target",
        mix=mix, in_flight=1, phases=(), sample_every_s=1.0, collect_every_s=None, snapshot_every_s=None,
        latency_every_s=60.0,
        options={"policy": "p", "cache": "c"},
        peers={"p": {"kind": "policy.regorus", "options": policy},
               "c": {"kind": "cache.native", "options": {"capacity": 100_000}}},
    )  # fmt: skip
    engine = build(spec)
    engine.start()
    operations = make_operations(1, MIXES[mix])
    for op in operations:  # the whole tape, so that what still misses are the tenth that change rights
        engine.operation(op)
    before, rates = engine.counters(), []
    for _ in range(9):
        start_ns = time.process_time_ns()
        for op in itertools.islice(operations, 20_000):
            engine.operation(op)
        rates.append(20_000 / ((time.process_time_ns() - start_ns) / 1e9))
    hits = {what: value - before[what] for what, value in engine.counters().items() if what in before}
    share = hits["new_hits"] / (hits["new_hits"] + hits["new_misses"])
    engine.close()
    rate, target = statistics.median(rates), AUTHORIZE_TARGETS[name]
    met = "met" if rate >= target else "MISSED"
    yield f"{name}: authorize, {share:.1%} hits", rate, "1/s CPU", f"target >= {target:,}: {met}"


def _growth_row() -> Iterator[Row]:
    policy, given = _ours("rbac"), {"user": "user-001", "action": "read", "resource": "document"}
    for _ in range(2_000):
        policy.decide(given)
    before = _native.rust_bytes()
    for _ in range(EVALUATIONS):
        policy.decide(given)
    grown = _native.rust_bytes() - before
    met = "met" if 10 * grown < GROWTH_TARGET_BYTES else "MISSED"
    yield f"growth over {EVALUATIONS:,} evaluations", grown, "B", f"target < {GROWTH_TARGET_BYTES // 10:,}: {met}"
