"""What a decision costs through Python, beside regorus by itself and soakd-policy around it: a part of `bench_native`.

`rust/policy-cost` decides on the same inputs in a process of its own, and the rounds take turns: a ratio is of what was
measured at the same time. Processor time of one thread each.
"""

import json
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benches.policy_rivals import CASES, POLICIES
from soakd import _native
from soakd.worker.load.mixes import MIXES
from soakd.worker.load.tape import make_operations

ROOT = Path(__file__).parent.parent
ROUNDS, INPUTS, DECISIONS = 15, 500, 10_000
TARGET = 1.25
"""Of a decision through Python over one of regorus's interpreter by itself."""

Row = tuple[str, float, str, str]


def rows() -> Iterator[Row]:
    """Give (what, value, unit, remark)."""
    cargo = _cargo()
    if cargo is None:
        yield "policy.regorus beside bare regorus", float("nan"), "", "SKIPPED: no cargo"
        return
    command = [cargo, "run", "--release", "--locked", "--quiet", "--package", "policy-cost", "--"]
    for name, mix in CASES.items():
        inputs = [op.input for op in make_operations(1, MIXES[mix], INPUTS)]
        yield from _rows_of(name, inputs, command)


def _rows_of(name: str, inputs: list[Any], command: list[str]) -> Iterator[Row]:
    files, rule = [POLICIES / f"{name}.rego", POLICIES / f"{name}.json"], f"data.{name}.allow"
    source, data = (file.read_text(encoding="utf-8") for file in files)
    decide = _native.Policy({f"{name}.rego": source}, rule, json.loads(data)).decide
    times: dict[str, list[float]] = {"bare": [], "crate": [], "python": []}
    times_over = DECISIONS // len(inputs)
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as recorded:
        recorded.writelines(json.dumps(given) + "\n" for given in inputs)
        recorded.flush()
        arguments = [*map(str, files), rule, recorded.name]
        with subprocess.Popen(
            [*command, *arguments], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as other:  # fmt: skip
            assert other.stdin is not None
            assert other.stdout is not None
            for _ in range(ROUNDS):
                print(times_over, file=other.stdin, flush=True)
                bare_ns, crate_ns = map(float, other.stdout.readline().split())
                times["bare"].append(bare_ns)
                times["crate"].append(crate_ns)
                times["python"].append(_ns_each(decide, inputs, times_over))
    bare_us, crate_us, python_us = (statistics.median(times[way]) / 1000 for way in ("bare", "crate", "python"))
    yield f"{name}: regorus by itself, in Rust", bare_us, "us", ""
    yield f"{name}: soakd-policy around it, in Rust", crate_us, "us", f"{_ratio(times, 'crate'):.2f}x"
    ratio = _ratio(times, "python")
    met = "met" if ratio <= TARGET else "MISSED"
    yield f"{name}: through Python", python_us, "us", f"{ratio:.2f}x, target <= {TARGET:g}: {met}"


def _ratio(times: dict[str, list[float]], way: str) -> float:
    """The median of what each round came to: both halves of a round met the same host."""
    return statistics.median(took / bare for took, bare in zip(times[way], times["bare"], strict=True))


def _ns_each(decide: Any, inputs: list[Any], times_over: int) -> float:
    start_ns = time.thread_time_ns()
    for _ in range(times_over):
        for given in inputs:
            decide(given)
    return (time.thread_time_ns() - start_ns) / (times_over * len(inputs))


def _cargo() -> str | None:
    found = subprocess.run(["sh", "tools/bootstrap.sh", "cargo"], cwd=ROOT, capture_output=True, text=True, check=False)
    return shutil.which("cargo", path=found.stdout.strip() or None)
