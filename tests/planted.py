"""What configs/planted.toml must end in: every leak caught as what it is, no twin and no healthy engine accused.

As a script it runs the configuration on several seeds and leak sizes: `python -m tests.planted --seeds 1 2 3`.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

CONFIG = Path(__file__).parents[1] / "configs" / "planted.toml"
LIMIT_BYTES = 40
"""What the configuration allows in an operation."""
LEAST_BYTES = {"cycle": 300, "closure": 300, "lru-cache": 300}
"""What cannot be made smaller."""
SIZED = ("python-list", "cycle", "closure", "lru-cache", "malloc", "rust-box", "pyo3-reference", "mmap")
CLASSES = {
    "python-list-leak": {"python_leak"},
    "cycle-leak": {"python_leak"},
    "closure-leak": {"python_leak"},
    "lru-cache-leak": {"python_leak", "mixed_leak"},
    "task-leak": {"python_leak", "task_leak", "mixed_leak"},
    "malloc-leak": {"native_leak"},
    "rust-box-leak": {"native_leak"},
    "pyo3-reference-leak": {"python_leak"},
    "mmap-leak": {"private_allocator"},
    "fd-leak": {"fd_leak"},
    "thread-leak": {"thread_leak"},
}


SMALL_OBJECT_BYTES = 512
"""Larger Python objects are in malloc's memory, where no counter tells them from those of native code."""


def wrong(verdict: Mapping[str, Any], *, leak_bytes: float = 100.0) -> Iterator[str]:
    """Say what a verdict on planted engines has wrong, one sentence each."""
    either = {"native_leak", "mixed_leak"} if leak_bytes > SMALL_OBJECT_BYTES else set()
    engines = {engine["name"]: engine for engine in verdict["engines"]}
    for name, engine in engines.items():
        found = f"{name} is {engine['verdict']}, class {engine['class']}: {engine['reason']}"
        if name in CLASSES:
            expected = CLASSES[name] | (either if "python_leak" in CLASSES[name] else set())
            if engine["verdict"] != "FAIL" or engine["class"] not in expected:
                yield f"{found}; expected FAIL, {' or '.join(sorted(expected))}"
        elif engine["role"] != "control" and engine["verdict"] not in ("PASS", "INCONCLUSIVE"):
            yield f"{found}; nothing leaks there"
    if verdict["controls"]["leak"].get("caught") is not True:
        yield f"the leak control was not caught: {verdict['controls']['leak']}"


def main() -> int:
    """Run the planted engines on each seed, at each size; 0 where every verdict was right."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--times-limit", type=float, nargs="+", default=[2.5], help="how many limits the leaks are")
    parser.add_argument("--duration", default="6min")
    options = parser.parse_args()
    mistakes = 0
    for seed in options.seeds:
        for size in options.times_limit:
            verdict, code = _run(seed, size, options.duration)
            found = list(wrong(verdict, leak_bytes=size * LIMIT_BYTES)) + (
                [] if code == 1 else [f"exit code {code}, expected 1"]
            )
            undecided = [e["name"] for e in verdict["engines"] if e["verdict"] == "INCONCLUSIVE"]
            told = f"{len(found)} wrong, inconclusive: {', '.join(undecided) or 'none'}"
            print(f"seed {seed}, leaks of {size:g} limits: {told}")
            for sentence in found:
                print(f"  {sentence}")
            mistakes += len(found)
    return 1 if mistakes else 0


def _sizes(times_limit: float) -> Iterator[str]:
    """Make every leak that has a size so many limits large, and its twin do the same work."""
    for name in SIZED:
        size = max(round(times_limit * LIMIT_BYTES), LEAST_BYTES.get(name, 0))
        for kind in ("leak", "twin"):
            yield from ("--set", f"engine.{name}-{kind}.options.bytes_per_operation={size}")


def _run(seed: int, times_limit: float, duration: str) -> tuple[dict[str, Any], int]:
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable, "-m", "soakd", "run", str(CONFIG), "--run-dir", f"{folder}/run", "--duration", duration,
            "--set", f"run.seed={seed}", "--log-level", "error", *_sizes(times_limit),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1800)
        verdict = Path(folder, "run", "verdict.json")
        if not verdict.is_file():
            raise SystemExit(done.stderr)
        return json.loads(verdict.read_text(encoding="utf-8")), done.returncode


if __name__ == "__main__":
    raise SystemExit(main())
