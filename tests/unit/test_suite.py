"""How the suite itself behaves: what a busy host excuses, where tests run, and what is said at the end."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests import run
from tests.quiet import Reading, reason_to_skip, taken_by_others
from tests.run import Seen, summary

ROOT = Path(__file__).parents[2]


def reading(at_s: float, busy_s: float = 0.0, steal_s: float = 0.0, own_s: float = 0.0) -> Reading:
    return Reading(at_s=at_s, busy_s=busy_s, steal_s=steal_s, own_s=own_s)


def test_what_a_test_and_its_children_used_is_not_taken_by_others() -> None:
    before, after = reading(0.0), reading(10.0, busy_s=12.0, own_s=12.0)
    assert taken_by_others(before, after, processors=2) == (0.0, 0.0)
    assert reason_to_skip("a quiet host", before, after, processors=2) is None


def test_a_busy_host_excuses_a_failure_and_says_by_how_much() -> None:
    before, after = reading(0.0), reading(10.0, busy_s=8.0, steal_s=1.0, own_s=2.0)
    reason = reason_to_skip("forks within 20 ms", before, after, processors=2)
    assert reason is not None
    assert reason.startswith(
        "needs forks within 20 ms: other processes took 30% of 2 processors and the hypervisor 5% while it ran"
    )


def test_a_reading_of_this_host_counts_this_process_too() -> None:
    before = Reading.take()
    while Reading.take().own_s < before.own_s + 0.05:
        pass
    after = Reading.take()
    assert after.busy_s >= before.busy_s
    assert after.at_s > before.at_s


def test_a_soak_that_a_test_has_not_ended_yet_is_not_a_busy_host() -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as child:
        before = Reading.take()
        try:
            while psutil.Process(child.pid).cpu_times().user < 0.1:
                pass
            assert Reading.take().own_s >= before.own_s + 0.05
        finally:
            child.kill()


FAILS = """
import gc, socket, sys
import pytest

@pytest.mark.quiet("nothing")
def test_that_fails():
    assert False

def test_that_leaves_garbage():
    one = [socket.socket()]
    one.append(one)

def test_that_is_innocent():
    gc.collect()
"""


def run_pytest(folder: Path, text: str) -> str:
    (folder / "test_it.py").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", "-q", "-rA", "-c",
               str(ROOT / "pyproject.toml"), "-p", "tests.conftest", str(folder / "test_it.py")]  # fmt: skip
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout


def test_garbage_of_one_test_raises_in_that_test_and_in_no_other(tmp_path: Path) -> None:
    said = run_pytest(tmp_path, FAILS)
    assert "ERROR" in said
    failing = [line for line in said.splitlines() if line.startswith(("FAILED", "ERROR"))]
    assert any("test_that_leaves_garbage" in line for line in failing), said
    assert not any("test_that_is_innocent" in line for line in failing), said


def test_what_every_test_may_use_is_there_without_xdist_too() -> None:
    program = "import sys; sys.modules['xdist'] = None; import tests.conftest"  # as where it is not installed
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


REPORT = """<testsuites><testsuite>
<testcase classname="tests.unit.test_a" name="test_one" time="1.5"/>
<testcase classname="tests.unit.test_a" name="test_two" time="2.5"><failure message="no"/></testcase>
<testcase classname="tests.unit.test_b" name="test_three" time="0.5">
<skipped type="pytest.skip" message="needs quiet: took 30%">/x/tests/unit/test_b.py:3: needs quiet: took 30%</skipped>
</testcase></testsuite></testsuites>"""


def test_the_closing_lines_have_counts_failures_skips_with_reasons_and_the_slowest_files(tmp_path: Path) -> None:
    (tmp_path / "unit.xml").write_text(REPORT, encoding="utf-8")
    seen = Seen()
    seen.add(tmp_path / "unit.xml")
    lines = list(summary(seen, 90.0))
    assert lines[-1] == "1 passed, 1 failed, 1 skipped"
    assert "FAILED tests/unit/test_a.py::test_two" in lines
    assert "skipped 1: needs quiet: took 30%" in lines
    assert "       4 s  tests/unit/test_a.py" in lines
    assert any(line.startswith("1.5 min on ") for line in lines)


def marks_of_integration_tests(mark: str) -> int:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", mark, "tests/integration"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return sum("::" in line for line in done.stdout.splitlines())


@pytest.mark.slow
def test_at_most_one_integration_test_in_ten_needs_a_quiet_host() -> None:
    assert marks_of_integration_tests("quiet") * 10 <= marks_of_integration_tests("integration")


@pytest.mark.parametrize("stage", [run.UNIT, run.INTEGRATION, run.QUIET])
def test_no_stage_of_make_test_runs_a_long_test(stage: run.Stage) -> None:
    assert "not long" in stage.arguments[stage.arguments.index("-m") + 1]
