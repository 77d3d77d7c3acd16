"""Nothing that soakd starts outlives it, whatever ends it."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from soakd.procs import guardian

ENGINES = Path(__file__).parents[1] / "engines"
WITHIN_S = 60.0
SOAK = """
[run]
duration = "10min"
sample_every = "1s"
collect_every = "off"
snapshot_every = "off"
controls_off = ["null", "leak"]
[[engine]]
name = "family"
kind = "python"
factory = "families:with_relatives"
path = ["{engines}"]
rate = 50
options = {{ mark = "{mark}" }}
[[engine]]
name = "redis"
kind = "cache.redis"
rate = 20
"""


def marked(mark: str) -> list[psutil.Process]:
    """Find the living processes of a test."""
    found = []
    for process in psutil.process_iter():
        try:
            if any(mark in word for word in process.cmdline()) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def until(what: Callable[[], bool]) -> bool:
    until_s = time.monotonic() + WITHIN_S
    while not what():
        if time.monotonic() > until_s:
            return False
        time.sleep(0.05)
    return True


@pytest.fixture
def soak(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], list[psutil.Process]]]:
    """A soak under load whose engine has relatives; and everything below it."""
    mark = f"mark-{os.getpid()}-{time.monotonic_ns()}"
    (tmp_path / "soak.toml").write_text(SOAK.format(engines=ENGINES, mark=mark), encoding="utf-8")
    with subprocess.Popen(
        [sys.executable, "-m", "soakd", "run", "soak.toml", "--run-dir", "out"],
        cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
    ) as daemon:  # fmt: skip
        assert daemon.stderr is not None
        try:
            told = ""
            for line in daemon.stderr:
                told += line
                if '"event": "started"' in line:
                    break
            else:
                raise AssertionError(told)
            # a daemon that has forked twice becomes a child of the keeper: still below
            below = psutil.Process(daemon.pid).children(recursive=True)
            assert len(marked(mark)) >= 3
            assert {process.pid for process in marked(mark)} <= {process.pid for process in below}
            yield daemon, below
        finally:
            daemon.kill()
            for process in marked(mark):
                process.kill()


def test_nothing_outlives_a_daemon_that_is_killed(
    soak: tuple[subprocess.Popen[str], list[psutil.Process]], tmp_path: Path
) -> None:
    daemon, below = soak
    names = {process.name() for process in below}
    assert {"redis-server", "sh"} <= names
    daemon.send_signal(signal.SIGKILL)
    assert psutil.wait_procs(below, timeout=WITHIN_S)[1] == []


def test_nothing_outlives_a_daemon_that_is_told_twice_to_end(
    soak: tuple[subprocess.Popen[str], list[psutil.Process]],
) -> None:
    daemon, below = soak
    daemon.send_signal(signal.SIGTERM)
    daemon.send_signal(signal.SIGINT)
    assert daemon.wait(WITHIN_S) in (130, 143)
    assert psutil.wait_procs(below, timeout=WITHIN_S)[1] == []


def test_what_a_killed_keeper_kept_is_killed_and_the_engine_starts_again(
    soak: tuple[subprocess.Popen[str], list[psutil.Process]],
) -> None:
    daemon, below = soak
    (keeper,) = psutil.Process(daemon.pid).children()
    rest = [process for process in below if process != keeper]
    for process in keeper.children():
        process.kill()
    assert psutil.wait_procs(rest, timeout=WITHIN_S)[1] == []
    assert until(lambda: "redis-server" in [p.name() for p in keeper.children(recursive=True)])


def on_a_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def run() -> None:
        asyncio.run(asyncio.wait_for(test(), WITHIN_S))

    run.__name__ = test.__name__
    return run


@on_a_loop
async def test_a_child_says_how_it_ended_and_what_it_left() -> None:
    read_end, write_end = os.pipe()
    script = "sleep 600 & setsid sleep 601 & (setsid sleep 602 &) ; echo said; exit 7"
    child = guardian.spawn(["sh", "-c", script], output=write_end)
    killed = guardian.spawn(["sleep", "600"], output=write_end)
    os.close(write_end)
    await child.has_exited.wait()
    assert child.left == ("sleep",) * 3
    assert child.returncode is None
    os.kill(child.pid, 0)  # still its number
    assert await child.gone() == 7
    assert not psutil.pid_exists(child.pid)
    killed.signal(signal.SIGTERM)
    await killed.has_exited.wait()
    assert (await killed.gone(), killed.left) == (-signal.SIGTERM, ())
    assert os.read(read_end, 100) == b"said\n"
    assert os.read(read_end, 1) == b"", "nobody holds the pipe open"
    os.close(read_end)


@on_a_loop
async def test_a_child_that_is_let_go_is_killed_with_all_it_has() -> None:
    output = os.open(os.devnull, os.O_WRONLY)
    mark = f"600.{time.monotonic_ns()}"
    child = guardian.spawn(["sh", "-c", f"setsid sleep {mark} & sleep {mark}"], output=output)
    os.close(output)
    assert await asyncio.to_thread(until, lambda: len([p for p in marked(mark) if p.name() == "sleep"]) == 2)
    assert await child.gone() == -signal.SIGKILL
    assert await asyncio.to_thread(until, lambda: not marked(mark))


@on_a_loop
async def test_a_program_that_is_not_there_is_an_error_that_names_it() -> None:
    output = os.open(os.devnull, os.O_WRONLY)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        guardian.spawn(["/nowhere/to/be/found"], output=output)
    with pytest.raises(PermissionError):
        guardian.spawn(["/etc"], output=output)
    os.close(output)


@on_a_loop
async def test_a_child_has_its_files_its_folder_its_environment_and_python_s_signals_undone() -> None:
    read_end, write_end = os.pipe()
    script = "pwd; env | sort; cat <&3; ls /proc/self/fd | wc -l; grep SigIgn /proc/self/status; cat"
    theirs, mine = os.pipe()
    os.write(mine, b"given\n")
    os.close(mine)
    child = guardian.spawn(
        ["sh", "-c", script], output=write_end, inherited=[theirs], folder=Path("/usr"),
        environment={"PATH": os.environ["PATH"], "ONLY": "this"},
    )  # fmt: skip
    os.close(write_end)
    os.close(theirs)
    await child.has_exited.wait()
    said = os.read(read_end, 10_000).decode().splitlines()
    os.close(read_end)
    assert await child.gone() == 0
    assert said[0] == "/usr"
    assert "ONLY=this" in said
    assert "given" in said
    assert not any(line.startswith("HOME=") for line in said)
    assert "5" in said, "0, 1, 2, 3 and the one that lists them"
    # A signal that the tests' own parent ignored stays ignored; Python ignores only these two, and they are undone.
    ignored = int(said[-1].split()[1], 16)
    assert not ignored & (1 << signal.SIGPIPE - 1 | 1 << signal.SIGXFSZ - 1)
