"""Every test, in the order that wastes least time, and what was seen at the end: `python -m tests.run` (`make test`).

Integration tests wait more than they work, so they run side by side, beside the unit tests, which have the lowest
priority. Tests marked `quiet` come last, one after another, with the host to themselves.
"""

import argparse
import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent
SIDE_BY_SIDE = 3
"""Integration tests that run at once on two processors: they wait for much of their time; more starve each other."""
SLOWEST = 10
NO_TESTS_RAN = 5
"""pytest's exit code where nothing was selected."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One pytest of its own."""

    name: str
    arguments: tuple[str, ...]
    niceness: int = 0


UNIT = Stage("unit", ("tests/unit", "tests/property", "-m", "not long", "-n", "2", "--dist", "worksteal"), niceness=10)
INTEGRATION = Stage(
    "integration",
    ("tests/integration", "-m", "not quiet and not long", "-n", str(SIDE_BY_SIDE), "--dist", "loadscope",
     "--no-loadscope-reorder"),
)  # fmt: skip
QUIET = Stage("quiet", ("tests/integration", "-m", "quiet and not long"))
LONG = Stage("long", ("tests", "-m", "long"))


@dataclass(slots=True)
class Seen:
    """What the stages reported."""

    passed: int = 0
    failed: list[str] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    def add(self, report: Path) -> None:
        """Add one JUnit file of pytest's."""
        for case in ET.parse(report).getroot().iter("testcase"):
            file = case.get("classname", "").replace(".", "/") + ".py"
            self.seconds[file] += float(case.get("time", "0"))
            kinds = {child.tag: child for child in case}
            if kinds.keys() & {"failure", "error"}:
                self.failed.append(f"{file}::{case.get('name')}")
            elif "skipped" in kinds:
                self.skipped[reason_of(kinds["skipped"])] += 1
            else:
                self.passed += 1

    @property
    def closing_line(self) -> str:
        """Return the line that a program reads."""
        return f"{self.passed} passed, {len(self.failed)} failed, {self.skipped.total()} skipped"


def reason_of(skipped: ET.Element) -> str:
    """Return the reason of a skip, without the place where it was decided."""
    return re.sub(r"^.*\.py:\d+: (Skipped: )?", "", skipped.get("message") or skipped.text or "no reason given")


def main() -> int:
    """Run the stages; exit 0 where every test passed."""
    parser = argparse.ArgumentParser(description="Run every test; or only the long ones.")
    parser.add_argument("--long", action="store_true", help="the tests marked long: hours")
    stages = [[LONG]] if parser.parse_args().long else [[UNIT, INTEGRATION], [QUIET]]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that no stage outlives this process
    begun_s, seen, codes = time.monotonic(), Seen(), []
    with tempfile.TemporaryDirectory(prefix="soakd-tests-") as folder:
        for together in stages:
            codes += run_together(together, Path(folder))
        for report in sorted(Path(folder).glob("*.xml")):
            seen.add(report)
    for line in summary(seen, time.monotonic() - begun_s):
        print(line)
    return 1 if seen.failed or any(codes) else 0


def run_together(stages: Sequence[Stage], folder: Path) -> list[int]:
    """Run stages at the same time; the last one prints as it goes, what the others print comes when they end."""
    with contextlib.ExitStack() as opened:
        begun = [(stage, opened.enter_context(started(stage, folder, stage is stages[-1]))) for stage in stages]
        for _, process in begun:
            process.wait()
    for stage in stages[:-1]:
        print((folder / f"{stage.name}.log").read_text(encoding="utf-8", errors="replace"), end="")
    return [process.returncode for _, process in begun if process.returncode != NO_TESTS_RAN]


@contextlib.contextmanager
def started(stage: Stage, folder: Path, prints: bool) -> Iterator["subprocess.Popen[bytes]"]:
    """Start pytest for a stage, and end it with the block."""
    command = [
        "nice", "-n", str(stage.niceness), sys.executable, "-m", "pytest", "-q", *stage.arguments,
        f"--junitxml={folder / stage.name}.xml",
    ]  # fmt: skip
    print(f"{stage.name}: {' '.join(command[3:])}", flush=True)
    with open(folder / f"{stage.name}.log", "wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=None if prints else log, stderr=subprocess.STDOUT)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()


def summary(seen: Seen, took_s: float) -> Iterator[str]:
    """Yield the closing lines: failures, skips with their reasons, the slowest files, the time, the counts."""
    yield ""
    for name in seen.failed:
        yield f"FAILED {name}"
    for reason, count in sorted(seen.skipped.items()):
        yield f"skipped {count}: {reason}"
    yield f"The {SLOWEST} slowest files, in seconds of their tests (side by side, so the sum is more than the whole):"
    slowest = sorted(seen.seconds.items(), key=lambda item: -item[1])
    for file, seconds in slowest[:SLOWEST]:
        yield f"  {seconds:6.0f} s  {file}"
    yield f"{took_s / 60:.1f} min on {os.cpu_count()} processors"
    yield seen.closing_line


if __name__ == "__main__":
    sys.exit(main())
