"""kill -9 at seeded moments: of the daemon, of workers, of servers. Three moments each; `make kills` for 50, 50 and 20.

What was seen is printed (pytest -s): records, gaps, and how long it took until operations went on.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from soakd.errors import JournalError
from soakd.record import journal
from soakd.wire.spec import LOADED_PHASES
from tests.booted import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.slow]

KILLS = int(os.environ.get("SOAKD_KILLS", "3"))
SERVER_KILLS = min(KILLS, 20)
KINDS = ("hello", "phase", "sample", "latency", "incident", "bye", "snapshot", "server")
CONFIG = """
[run]
name = "killed"
duration = "{duration}s"
sample_every = "250ms"
collect_every = "500ms"
snapshot_every = "off"
longest_gap = "10min"
[limits]
growth_per_operation = "1kB"
restarts = 1000
[supervision]
max_restarts = 1000
restart_backoff = "1ms"
start_within = "2min"
healthy_after = "1s"
[[engine]]
name = "cache"
kind = "cache.native"
rate = 500
options = {{ capacity = 100 }}
"""
REDIS = """
[[engine]]
name = "redis"
kind = "cache.redis"
rate = 100
"""


class Soak:
    """A run that is killed and goes on."""

    def __init__(self, folder: Path, text: str) -> None:
        self.folder = folder
        self.run = folder / "run"
        (folder / "tmp").mkdir()
        (folder / "soak.toml").write_text(text, encoding="utf-8")
        self.daemons: list[psutil.Popen] = []

    def start(self) -> psutil.Popen:
        with open(self.folder / "log", "ab") as log:
            daemon = psutil.Popen(
                [sys.executable, "-m", "soakd", "run", "soak.toml", "--run-dir", "run", "--resume"],
                cwd=self.folder, stdout=log, stderr=log, start_new_session=True,
                env={**os.environ, "TMPDIR": str(self.folder / "tmp")},
            )  # fmt: skip
        self.daemons.append(daemon)
        return daemon

    def records(self) -> int:
        try:
            return int(journal.query(self.run / "run.db", "SELECT COUNT(*) FROM record")[0][0])
        except JournalError:
            return 0

    def verdict(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.run / "verdict.json").read_text(encoding="utf-8"))
        return found

    def incidents(self, what: str) -> int:
        return sum(incident["what"] == what for incident in self.verdict()["incidents"])

    def stop(self) -> int:
        """End the run in order, before its time; nothing but its files must be left then."""
        self.daemons[-1].send_signal(signal.SIGTERM)
        return self.finish()

    def finish(self, within_s: float = 300.0) -> int:
        """Wait for the end of the last daemon; nothing but the run's files must be left then."""
        code = self.daemons[-1].wait(within_s)
        assert self.left() == []
        assert list((self.folder / "tmp").iterdir()) == []
        assert not (self.run / "servers").exists()
        assert [path.name for path in self.run.iterdir() if path.name.startswith(".")] == []
        return int(code)

    def left(self) -> list[int]:
        """The processes that any daemon of this run has left behind: they have its folder for temporary files."""
        mark = f"TMPDIR={self.folder / 'tmp'}".encode()
        return [pid for pid in psutil.pids() if mark in environ_of(pid) and not is_zombie(pid)]


def environ_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


def is_zombie(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return True


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    for pid in psutil.pids():
        if f"TMPDIR={tmp_path / 'tmp'}".encode() in environ_of(pid):
            os.kill(pid, signal.SIGKILL)


def test_a_daemon_killed_at_any_moment_loses_no_committed_record(folder: Path) -> None:
    soak, dice = Soak(folder, CONFIG.format(duration=30 + 6 * KILLS)), random.Random("daemon")
    resumed = 0
    for _ in range(KILLS):
        before, daemon = soak.records(), soak.start()
        if (
            dice.random() < 0.7
        ):  # while the run goes on, however long this host takes to come to that; else at its start
            wait_for(lambda: soak.records() > before or daemon.poll() is not None, 60, "a record")  # noqa: B023
            time.sleep(dice.uniform(0.0, 4.0))
        else:
            time.sleep(dice.uniform(0.2, 5.0))
        committed = soak.records()
        daemon.kill()
        daemon.wait()
        wait_for(lambda: soak.left() == [], 20, "the end of everything that the daemon had started")
        if (soak.run / "run.db").is_file() and "plan" in journal.read_meta(soak.run / "run.db"):
            journal.check_whole(soak.run / "run.db")
            assert soak.records() >= committed
            resumed += 1
        elif soak.run.exists():
            shutil.rmtree(soak.run)  # it had not begun: a new one does
    soak.start()
    code = soak.finish()
    assert code in (0, 1, 3, 4)
    phases = list(journal.read_records(soak.run / "run.db", "phase", engine=""))
    handovers = [r for r in phases if r.body["name"] == "resumed"]
    assert [handover.segment for handover in handovers] == list(range(1, len(handovers) + 1))
    assert KILLS // 3 <= len(handovers) <= resumed
    assert soak.incidents("daemon_gap") == len(handovers)
    assert sum(r.body["name"] == "end" for r in phases) == 1
    hellos = [r.segment for r in journal.read_records(soak.run / "run.db", "hello", engine="cache")]
    assert len(set(hellos)) == len(hellos), "a segment number was used twice"
    assert soak.verdict()["verdict"] != "INCOMPLETE"
    tell("daemon", KILLS, soak, [float(handover.body["gap_s"]) for handover in handovers])
    assert_no_contradiction(soak.verdict())


def assert_no_contradiction(verdict: dict[str, Any]) -> None:
    """However often it was killed: the record itself is sound."""
    sound = {c["id"]: c for c in verdict["checks"] if c["id"] in ("evidence.records", "evidence.clock")}
    assert [c["reason"] for c in sound.values() if c["verdict"] != "PASS"] == []
    cache = next(e for e in verdict["engines"] if e["name"] == "cache")
    assert next(c for c in cache["checks"] if c["id"] == "evidence.process")["verdict"] != "INVALID", cache["checks"]


def test_each_kill_of_a_worker_is_an_incident(folder: Path) -> None:
    soak, dice = Soak(folder, CONFIG.format(duration=900)), random.Random("worker")
    daemon, killed = soak.start(), 0
    wait_for(lambda: soak.records() > 20, 120, "a soak that runs")
    for _ in range(KILLS):
        time.sleep(dice.uniform(0.1, 2.0))
        wait_for(lambda: bool(workers(daemon)) or daemon.poll() is not None, 90, "a worker")
        if victims := workers(daemon):
            os.kill(dice.choice(victims), signal.SIGKILL)
            killed += 1
    wait_for(lambda: len(recoveries(soak.run)) == killed, 120, "operations after each kill")
    assert soak.stop() == 143
    assert killed == KILLS
    assert soak.incidents("crash") == killed
    assert_no_contradiction(soak.verdict())
    tell("worker", killed, soak, recoveries(soak.run))


def recoveries(run: Path) -> list[float]:
    """Seconds from each end of a worker to the first sample of another one that does what its phase asks for."""
    ends: dict[str, list[float]] = {}
    found: list[float] = []
    for record in journal.read_records(run / "run.db", "incident", "sample"):
        waiting = ends.setdefault(record.engine, [])
        if record.kind == "incident" and record.body["what"] in ("crash", "exit", "start_failed"):
            waiting.append(record.at.mono_s)
        elif waiting and record.segment and is_at_work(record.body):
            found += [record.at.mono_s - waiting.pop()]
    return found


def is_at_work(body: Mapping[str, Any]) -> bool:
    """Whether a sample is the worker's own, and of operations where its phase asks for them."""
    return "phase" in body and (body["phase"] not in LOADED_PHASES or body["operations_total"] > 0)


def tell(what: str, killed: int, soak: Soak, seconds: list[float]) -> None:
    """Print what was seen: nothing is timed here, but the figures are worth having."""
    took = f"{sorted(seconds)[len(seconds) // 2]:.2f} s median, {max(seconds):.2f} s most" if seconds else "unknown"
    incidents = len(soak.verdict()["incidents"])
    print(
        f"\n{killed} kills of a {what}: {soak.records()} records, {incidents} incidents, operations again after {took}"
    )


def workers(daemon: psutil.Popen) -> list[int]:
    """The workers of a daemon that live; not the children that they fork."""
    found = {child.pid: child for child in living(daemon) if "soakd.worker" in words_of(child)}
    return [pid for pid, child in found.items() if parent_of(child) not in found]


def living(daemon: psutil.Popen) -> list[psutil.Process]:
    try:
        return [child for child in daemon.children(recursive=True) if not is_zombie(child.pid)]
    except psutil.Error:
        return []


def parent_of(process: psutil.Process) -> int:
    try:
        return int(process.ppid())
    except psutil.Error:
        return 0


def words_of(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


def test_each_kill_of_a_server_is_an_incident(folder: Path) -> None:
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not here")
    soak, dice = Soak(folder, CONFIG.format(duration=900) + REDIS), random.Random("server")
    daemon, killed = soak.start(), set[int]()
    wait_for(lambda: soak.records() > 20, 120, "a soak that runs")
    for _ in range(SERVER_KILLS):
        time.sleep(dice.uniform(0.1, 2.0))
        wait_for(lambda: bool(servers(daemon) - killed), 90, "a server")
        (pid,) = servers(daemon) - killed
        os.kill(pid, signal.SIGKILL)
        killed.add(pid)
    wait_for(lambda: ends(soak.run) == len(killed) and answers_again(soak.run), 120, "a server that answers again")
    assert soak.stop() == 143
    assert soak.incidents("server_crash") + soak.incidents("server_start_failed") == len(killed) == SERVER_KILLS
    assert_no_contradiction(soak.verdict())
    tell("server", len(killed), soak, answers(soak.run))


def told_of_the_server(run: Path) -> list[str]:
    told = [str(r.body["what"]) for r in journal.read_records(run / "run.db", "incident", engine="redis")]
    return [what for what in told if what.startswith("server_")]


def ends(run: Path) -> int:
    """How often the server ended: a kill while it starts is an end too."""
    return sum(what in ("server_crash", "server_start_failed") for what in told_of_the_server(run))


def answers_again(run: Path) -> bool:
    return told_of_the_server(run)[-1:] == ["server_recovered"]


def answers(run: Path) -> list[float]:
    """Seconds from each end of a server to its answering again."""
    told = journal.read_records(run / "run.db", "incident", engine="redis")
    return [float(r.body["recovery_s"]) for r in told if r.body["what"] == "server_recovered"]


A_HUNDRED = 100
A_HUNDRED_FAULTS = f"""
[[fault]]
name = "end"
kind = "kill"
target = "redis"
every = "2500ms"
jitter = "500ms"
count = {A_HUNDRED}
"""


@pytest.mark.long
def test_a_hundred_ends_of_redis_lose_nothing_and_leave_no_growth(folder: Path) -> None:
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not here")
    soak = Soak(folder, CONFIG.format(duration=350) + REDIS.replace("rate = 100", "rate = 200") + A_HUNDRED_FAULTS)
    soak.start()
    soak.finish(600)
    verdict = soak.verdict()
    redis = next(engine for engine in verdict["engines"] if engine["name"] == "redis")
    growth = {c["id"]: c for c in redis["checks"] if c["id"].startswith(("growth.reachable_bytes", "growth.fds"))}
    faults = verdict["faults"]
    assert len(faults) == A_HUNDRED
    assert [fault for fault in faults if fault.get("recovered_s") is None] == []
    assert soak.incidents("server_crash") + soak.incidents("server_start_failed") >= A_HUNDRED
    assert [check for check in growth.values() if check["verdict"] == "FAIL"] == []
    assert_no_contradiction(verdict)
    tell("server on purpose", A_HUNDRED, soak, [float(fault["recovered_s"]) for fault in faults])
    failed = sum(fault.get("failed_operations") or 0 for fault in faults)
    errors = next(c for c in redis["checks"] if c["id"] == "errors.ratio")
    print(f"{failed} operations failed; errors {errors['estimate']}, {growth['growth.reachable_bytes']}")


def servers(daemon: psutil.Popen) -> set[int]:
    return {child.pid for child in living(daemon) if any("redis-server" in word for word in words_of(child)[:1])}


def test_two_daemons_never_write_one_run(folder: Path) -> None:
    soak = Soak(folder, CONFIG.format(duration=30))
    first = soak.start()
    wait_for(lambda: soak.records() > 0, 120, "a soak that runs")
    second = subprocess.run(
        [sys.executable, "-m", "soakd", "run", "--resume", "run"],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert second.returncode == 2
    assert "another soakd is writing this run" in second.stderr
    first.send_signal(signal.SIGTERM)
    assert soak.finish() == 143
    third = subprocess.run(
        [sys.executable, "-m", "soakd", "run", "--resume", "run"],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "is finished, so it is not resumed" in third.stdout
    assert third.returncode == {"INVALID": 4, "INCONCLUSIVE": 3, "FAIL": 1}[soak.verdict()["verdict"]]
