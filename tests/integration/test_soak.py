"""Whole soaks in real processes, short ones: seconds in place of hours, limits per operation."""

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

pytestmark = pytest.mark.integration

ENGINES = Path(__file__).parents[1] / "engines"
HEAD = """
[run]
name = "test"
duration = "{duration}"
sample_every = "{every}"
collect_every = "{every}"
snapshot_every = "off"
{run}
[limits]
growth_per_operation = "{limit}"
[supervision]
hang_after = "2s"
restart_backoff = "100ms"
max_restarts = {restarts}
"""
ENGINE = """
[[engine]]
name = "{name}"
kind = "python"
factory = "{factory}"
path = ["{path}"]
rate = {rate}
options = {options}
"""


@dataclass
class Soak:
    """A finished soak."""

    code: int
    verdict: dict[str, Any]
    stdout: str
    stderr: str
    folder: Path

    def engine(self, name: str) -> dict[str, Any]:
        return next(e for e in self.verdict["engines"] if e["name"] == name)

    def check(self, engine: str, check_id: str) -> dict[str, Any]:
        return next(c for c in self.engine(engine)["checks"] if c["id"] == check_id)

    def incidents(self, engine: str) -> list[str]:
        return [i["what"] for i in self.verdict["incidents"] if i.get("engine") == engine]


def config_text(
    *engines: tuple[str, str, str],
    duration: str = "16s",
    every: str = "200ms",
    limit: str = "16B",
    restarts: int = 1,
    run: str = "",
    rate: int = 1000,
) -> str:
    head = HEAD.format(duration=duration, every=every, limit=limit, restarts=restarts, run=run)
    return head + "".join(
        ENGINE.format(name=name, factory=factory, path=ENGINES, rate=rate, options=options)
        for name, factory, options in engines
    )


Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started = []

    def begin(text: str, *flags: str) -> subprocess.Popen[str]:
        (tmp_path / "soak.toml").write_text(text, encoding="utf-8")
        process = subprocess.Popen(
            [sys.executable, "-m", "soakd", "run", "soak.toml", "--run-dir", "out", *flags],
            cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def soak(start: Start, tmp_path: Path) -> Callable[..., Soak]:
    def run(text: str, *flags: str) -> Soak:
        return finished(start(text, *flags), tmp_path)

    return run


def finished(process: subprocess.Popen[str], tmp_path: Path) -> Soak:
    stdout, stderr = process.communicate(timeout=300)
    path = tmp_path / "out" / "verdict.json"
    verdict = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return Soak(process.returncode, verdict, stdout, stderr, tmp_path / "out")


def workers_of(process: subprocess.Popen[Any], count: int) -> list[psutil.Process]:
    """Wait for the workers of a daemon to be there."""
    workers: list[psutil.Process] = []
    for _ in range(300):
        workers = [child for child in psutil.Process(process.pid).children(recursive=True) if is_worker(child)]
        if len(workers) == count:
            return workers
        time.sleep(0.1)
    raise AssertionError(f"{len(workers)} workers, {count} expected")


def is_worker(process: psutil.Process) -> bool:
    try:
        return "soakd.worker" in process.cmdline()
    except psutil.Error:
        return False


def wait_for_phase(folder: Path, phase: str) -> None:
    from soakd.errors import JournalError
    from soakd.record.journal import read_records

    for _ in range(600):
        try:
            if any(r.body.get("name") == phase and r.engine for r in read_records(folder / "run.db", "phase")):
                return
        except JournalError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"the {phase} phase never came")


def test_a_global_list_fails_and_its_leak_free_twin_passes(soak: Callable[..., Soak]) -> None:
    leaking = soak(config_text(("mine", "leaking:global_list", "{ keep = true }")))
    assert leaking.code == 1, leaking.stderr
    assert leaking.engine("mine")["class"] == "python_leak"
    growth = leaking.check("mine", "growth.reachable_bytes")
    assert growth["low"] <= 200 * 1.05
    assert growth["high"] >= 200 * 0.95
    assert "Python" in leaking.verdict["summary"]
    assert "per operation" in leaking.verdict["summary"]
    assert "MB/h" in leaking.verdict["summary"]
    assert leaking.verdict["summary"] in leaking.stdout


def test_a_healthy_engine_passes_with_a_complete_run_directory(soak: Callable[..., Soak]) -> None:
    healthy = soak(config_text(("mine", "leaking:global_list", "{ keep = false }"), duration="32s"))
    assert (healthy.code, healthy.verdict["verdict"]) == (0, "PASS"), healthy.stdout + healthy.stderr
    assert healthy.verdict["controls"]["leak"]["caught"] is True
    assert {path.name for path in healthy.folder.iterdir()} >= {
        "run.db", "verdict.json", "soak.toml", "environment.json", "verdict.md", "verdict.junit.xml",
    }  # fmt: skip
    again = subprocess.run(
        [sys.executable, "-m", "soakd", "judge", str(healthy.folder), "--quiet"], check=False, timeout=120
    )
    assert again.returncode == 0
    assert json.loads((healthy.folder / "verdict.json").read_text(encoding="utf-8")) == healthy.verdict


def test_cycles_under_a_lazy_collector_are_no_leak_and_a_hundred_bytes_kept_beside_them_are(
    soak: Callable[..., Soak],
) -> None:
    both = soak(
        config_text(
            ("cycles", "leaking:cycles", "{ keep = false }"),
            ("keeps", "leaking:cycles", "{ keep = true }"),
            duration="32s",  # on a busy host a child that collects the cycles is slow
        )
    )
    assert both.check("cycles", "growth.reachable_bytes")["verdict"] == "PASS"
    kept = both.check("keeps", "growth.reachable_bytes")
    assert kept["verdict"] == "FAIL"
    assert 100 <= kept["estimate"] <= 170


def test_each_way_to_misbehave_is_its_own_incident_and_the_others_go_on(soak: Callable[..., Soak]) -> None:
    result = soak(
        config_text(
            ("healthy", "misbehaving:healthy", "{}"),
            ("raises", "misbehaving:raises_every_second_time", "{}"),
            ("prints", "misbehaving:prints_garbage", "{}"),
            ("hangs", "misbehaving:never_returns", "{}"),
            ("hangs-async", "misbehaving:waits_forever_asynchronously", "{}"),
            ("exits", "misbehaving:exits", "{ status = 7 }"),
            ("killed", "misbehaving:is_killed", "{ number = 9 }"),
            ("stopped", "misbehaving:stops_itself", "{}"),
            duration="30s", every="400ms",  # ten processes and their forks share two cores
        )
    )  # fmt: skip
    assert result.code == 1
    assert result.engine("healthy")["verdict"] == "PASS"
    assert result.check("raises", "errors.ratio")["estimate"] == pytest.approx(0.5, abs=0.01)
    assert result.incidents("raises")[0] == "operation_error"
    assert result.engine("prints")["verdict"] == "PASS"
    for name, what, words in (
        ("hangs", "hang", "no sign of life"),
        ("hangs-async", "hang", "no operation completed"),
        ("exits", "exit", "exited with status 7"),
        ("killed", "crash", "killed by SIGKILL"),
        ("stopped", "hang", "stopped by a signal"),
    ):
        assert result.engine(name)["verdict"] == "FAIL", name
        assert result.incidents(name).count(what) == 2, result.verdict["incidents"]
        assert result.incidents(name)[-1] == "gave_up"
        assert words in result.check(name, "stability.crashes")["reason"]
    incidents = result.verdict["incidents"]
    assert any("last words" in line for i in incidents if i.get("engine") == "exits" for line in i.get("stderr", []))
    stack = [line for i in incidents if i.get("engine") == "hangs" for line in i.get("stderr", [])]
    assert any("operate" in line for line in stack), "the stack of the operation that never returned"


def test_an_engine_whose_worker_is_killed_from_outside_goes_on_in_a_new_segment(start: Start, tmp_path: Path) -> None:
    process = start(config_text(("mine", "misbehaving:healthy", "{}")))
    workers_of(process, 3)
    wait_for_phase(tmp_path / "out", "load")
    next(w for w in workers_of(process, 3) if w.pid == pid_of(tmp_path / "out", "mine")).kill()
    result = finished(process, tmp_path)
    assert result.code == 1
    assert [s["ended_by"] for s in result.engine("mine")["segments"]] == ["crash", "completed"]


def test_no_worker_survives_the_daemon(start: Start, tmp_path: Path) -> None:
    process = start(config_text(("mine", "misbehaving:healthy", "{}"), ("hangs", "misbehaving:never_returns", "{}")))
    workers_of(process, 4)
    wait_for_phase(tmp_path / "out", "load")
    workers = workers_of(process, 4)
    process.kill()
    gone, alive = psutil.wait_procs(workers, timeout=300)
    assert not alive
    assert len(gone) == 4


@pytest.mark.quiet("readings of reachable bytes that are two seconds old when the run is ended")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_drains_seals_and_says_so(start: Start, tmp_path: Path, number: signal.Signals) -> None:
    process = start(config_text(("mine", "misbehaving:healthy", "{}")).replace('"16s"', '"64s"'))
    wait_for_phase(tmp_path / "out", "load")
    time.sleep(2)
    process.send_signal(number)
    result = finished(process, tmp_path)
    assert result.code == 128 + number, result.stderr
    assert "ended early" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert result.verdict["verdict"] == "INCONCLUSIVE"
    assert result.verdict["run"]["ended_by"] == "interrupted"
    assert result.check("mine", "growth.reachable_bytes")["verdict"] == "INCONCLUSIVE"
    assert "ended early" in result.check("mine", "growth.reachable_bytes")["reason"]
    assert result.engine("mine")["segments"][0]["ended_by"] == "stopped"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("rate = 1000", "rate = -1"), 'soak.toml: engine "mine": rate: must be above 0, got -1'),
        (("rate = 1000", "rat = 1"), 'unknown key "rat"'),
        (('"16s"', '"16 potatoes"'), "run: duration: expected a duration"),
        (("misbehaving:healthy", "no_such_module:make"), "No module named 'no_such_module'"),
        (("misbehaving:healthy", "misbehaving:absent"), "absent"),
        (("misbehaving:healthy", "misbehaving:does_not_start"), "ConnectionRefusedError: no such backend"),
        (("misbehaving:healthy", "misbehaving:leaves_in_start"), "start() failed: SystemExit: 7"),
        (
            ("misbehaving:healthy", "misbehaving:leaves_in_the_factory"),
            "ended at once (exit status 7): no licence found",
        ),
        (
            ("rate = 1000", 'rate = 1000\npython = "/bin/sleep"'),
            'engine "mine": python: /bin/sleep: does not answer as Python does (exit status 1): ',
        ),
        (('name = "test"', 'name = "test"\n[http]\nhost = "192.0.2.1"'), "192.0.2.1:0 cannot be bound"),
    ],
)
def test_a_bad_input_is_one_line_and_exit_2(soak: Callable[..., Soak], change: tuple[str, str], message: str) -> None:
    text = config_text(("mine", "misbehaving:healthy", "{}"))
    if change[1].startswith("name"):
        text = text + '\n[http]\nhost = "192.0.2.1"\n'
    result = soak(text.replace(*change) if not change[1].startswith("name") else text)
    assert result.code == 2
    assert message in result.stderr
    assert len([line for line in result.stderr.strip().splitlines() if "warning" not in line]) == 1
    assert "Traceback" not in result.stderr
    assert not result.folder.exists()


def test_a_run_directory_in_use_or_not_writable_is_refused(soak: Callable[..., Soak], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious").write_text("kept", encoding="utf-8")
    result = soak(config_text(("mine", "misbehaving:healthy", "{}")))
    assert result.code == 2
    assert "is not empty" in result.stderr
    assert (tmp_path / "out" / "precious").read_text(encoding="utf-8") == "kept"


def test_children_of_an_engine_end_with_its_worker_and_are_told_of(soak: Callable[..., Soak], tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    result = soak(
        config_text(
            ("keeps", "misbehaving:starts_a_child", f'{{ pid_file = "{pids}" }}'),
            ("exits", "misbehaving:starts_a_child", f'{{ pid_file = "{pids}", status = 7 }}'),
        )
    )
    assert result.incidents("keeps") == ["children_left"]
    assert result.incidents("exits") == ["children_left", "exit", "restart", "children_left", "exit", "gave_up"]
    left = next(i for i in result.verdict["incidents"] if i["what"] == "children_left")
    assert left["count"] == 1
    assert left["detail"].endswith("killed: sleep")
    started = [int(line) for line in pids.read_text(encoding="ascii").splitlines()]
    assert len(started) == 5, "two of preflight, three of the run"
    assert [pid for pid in started if is_alive(pid)] == []


def is_alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_an_incident_names_how_a_process_ended_before_its_time_and_after_its_work_was_done(
    soak: Callable[..., Soak],
) -> None:
    late = ("segfault", "exit", "hang", "thread")
    result = soak(
        config_text(
            ("leaves", "misbehaving:leaves_in_an_operation", "{}"),
            ("never-closes", "misbehaving:never_closes", "{}"),
            ("leaks", "forking:child_raises_beside_a_leak", "{}"),
            *((how, "forking:ends_badly", f'{{ how = "{how}" }}') for how in late),
            restarts=0, rate=200, every="300ms",
        )
    )  # fmt: skip
    assert (
        "exited with status 7 before its time: SystemExit: 7" in result.check("leaves", "stability.crashes")["reason"]
    )
    assert result.check("never-closes", "stability.crashes")["reason"].endswith("s: close() does not return")
    for how, what, words in (
        ("segfault", "crash", "killed by SIGSEGV after its work was done, while the interpreter shut down"),
        ("exit", "exit", "exited with status 7 after its work was done, while the interpreter shut down"),
        ("hang", "hang", "did not exit within 2s after its work was done: an atexit handler or a finalizer"),
        ("thread", "hang", "after its work was done: a thread that the engine left running (flusher)"),
    ):
        crashes = result.check(how, "stability.crashes")
        assert (crashes["verdict"], crashes["estimate"]) == ("FAIL", 1.0)
        assert words in crashes["reason"]
        assert result.incidents(how) == [what]
        assert [life["ended_by"] for life in result.engine(how)["segments"]] == [what]
        assert result.check(how, "evidence.process")["verdict"] == "PASS"
    assert "returned into soakd's code" in result.check("leaks", "stability.crashes")["reason"]
    assert result.check("leaks", "growth.reachable_bytes")["verdict"] == "FAIL"


def test_a_run_whose_folder_is_deleted_ends_in_order_and_says_so(start: Start, tmp_path: Path) -> None:
    process = start(config_text(("mine", "misbehaving:healthy", "{}"), duration="2m"))
    wait_for_phase(tmp_path / "out", "load")
    shutil.rmtree(tmp_path / "out")
    result = finished(process, tmp_path)
    assert result.code == 5
    assert result.stderr.splitlines()[-1] == (
        "soakd: out/run.db: deleted or replaced during the run: what was measured is lost"
    )
    assert "Traceback" not in result.stderr


def test_a_second_signal_ends_at_once_with_the_cursor_shown(tmp_path: Path) -> None:
    (tmp_path / "soak.toml").write_text(
        config_text(("mine", "misbehaving:never_returns", "{}")).replace('"2s"', '"1h"'),
        encoding="utf-8",
    )
    terminal, end = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "soakd", "run", "soak.toml", "--run-dir", "out"],
        cwd=tmp_path, stdin=end, stdout=end, stderr=end, start_new_session=True, env=os.environ | {"TERM": "xterm"},
    )  # fmt: skip
    os.close(end)
    shown = b""
    while not shown.count(b"mine"):
        shown += os.read(terminal, 1 << 16)
    wait_for_phase(tmp_path / "out", "load")
    workers = workers_of(process, 3)
    process.send_signal(signal.SIGINT)
    wait_for_end_of(workers, 2)
    process.send_signal(signal.SIGINT)
    while data := read_terminal(terminal):
        shown += data
    os.close(terminal)
    assert process.wait() == 128 + signal.SIGINT
    assert shown.rindex(b"\x1b[?25h") > shown.rindex(b"\x1b[?25l")
    assert psutil.wait_procs(workers, timeout=300)[1] == []


def read_terminal(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # nobody holds the other end
        return b""


def wait_for_end_of(workers: list[psutil.Process], count: int) -> None:
    """Wait until so many workers have ended: the first signal has arrived then."""
    for _ in range(300):
        if sum(not is_alive(worker.pid) for worker in workers) >= count:
            return
        time.sleep(0.1)
    raise AssertionError("the first signal ended nobody")


def pid_of(folder: Path, engine: str) -> int:
    from soakd.record.journal import read_records

    return int(next(read_records(folder / "run.db", "hello", engine=engine)).body["pid"])
