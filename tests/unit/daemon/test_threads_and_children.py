"""The children and threads of a worker, read from outside, with real processes below a keeper."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from soakd.daemon.workers import threads_and_children
from soakd.daemon.workers.threads_and_children import A_COPY, Family
from soakd.procs.tree import Tree

WORKER = """
import json, os, subprocess, sys, threading
ended = threading.Event()
def end(): ended.set(); thread.join()
thread = threading.Thread(target=ended.wait, daemon=True)
kept = []
def start(): kept.append(subprocess.Popen(["/bin/sleep", "1000"]))
def copy():
    pid = os.fork()
    if not pid:
        kept.append(bytearray(20_000_000)); os.write(ready, b"."); os.read(go, 1); os._exit(0)
    os.read(told, 1)
told, ready = os.pipe()
go, _ = os.pipe()
def zombie():
    pid = os.posix_spawn("/bin/true", ["true"], {})
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
def kill():
    child = kept.pop(0); child.kill(); child.wait()
print(os.getpid(), flush=True)
for line in sys.stdin:
    eval(line)
    print("done", flush=True)
"""
KEEPER = "import subprocess, sys; subprocess.run([sys.executable, '-S', '-c', sys.argv[1]])"


class Engine:
    """A worker that does what it is told, and the family that the daemon sees."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._in, self._out = process.stdin, process.stdout
        self.pid = int(self._out.readline())
        self.family, self._tree, self._now_s = Family(self.pid, 3.0), Tree(), 0.0

    def do(self, what: str) -> None:
        self._in.write(f"{what}\n")
        self._in.flush()
        assert self._out.readline() == "done\n"

    def read(self) -> dict[str, float]:
        table = self._tree.table()
        assert table is not None
        return self.family.read(table)

    def lost(self) -> list[tuple[str, str, int]]:
        """Read once a second."""
        self.read()
        self._now_s += 1.0
        return list(self.family.losses(self._now_s, counts=True, is_looked_at=False))


@contextmanager
def engine() -> Iterator[Engine]:
    command = [sys.executable, "-S", "-c", KEEPER, WORKER]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            yield Engine(process)
        finally:
            os.killpg(process.pid, 9)


def test_an_engine_without_children_has_none_and_nothing_else_is_read_of_them() -> None:
    with engine() as worker:
        assert worker.read() == worker.read() == {"children": 0}


def test_children_count_from_the_second_reading_on_and_are_summed_by_what_they_execute() -> None:
    with engine() as worker:
        worker.do("(start(), start(), copy())")
        assert worker.read() == {"children": 0}
        values = worker.read()
    assert values["children"] == 3
    assert values["zombies"] == 0
    assert values["child_count.sleep"] == 2
    assert values[f"child_count.{A_COPY}"] == 1
    assert values[f"child_bytes.{A_COPY}"] > 20e6 > values["child_bytes.sleep"]
    assert values["children_bytes"] == values[f"child_bytes.{A_COPY}"] + values["child_bytes.sleep"]


def test_zombies_are_counted_and_are_no_children() -> None:
    with engine() as worker:
        worker.do("(zombie(), zombie())")
        worker.read()
        worker.do("zombie()")
        assert worker.read() == {"children": 0, "zombies": 2, "children_bytes": 0}


def test_a_child_that_dies_is_lost_and_named() -> None:
    with engine() as worker:
        worker.do("(start(), start())")
        assert not any(worker.lost() for _ in range(6))
        worker.do("kill()")
        found = [loss for _ in range(5) for loss in worker.lost()]
    assert found == [("child_lost", "a child process (sleep) ended after 5s and none took its place", 1)]


def test_a_thread_that_ends_is_lost() -> None:
    with engine() as worker:
        worker.do("thread.start()")
        assert not any(worker.lost() for _ in range(6))
        worker.do("end()")
        found = [loss for _ in range(5) for loss in worker.lost()]
    [(what, sentence, count)] = found
    assert (what, count) == ("thread_lost", 1)
    assert sentence.startswith("a thread (")


def test_names_of_children_and_threads_are_fit_for_a_record() -> None:
    with engine() as worker:
        worker.do("start()")
        values: Any = [worker.read(), worker.read()]
    assert json.loads(json.dumps(values)) == values


def test_only_the_first_names_of_a_life_have_readings_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads_and_children, "MOST_NAMES_OF_A_LIFE", 1)
    with engine() as worker:
        worker.do("start()")
        assert not any("sleep" in name for name in worker.read())
        worker.read()
        worker.do("(kill(), copy())")
        worker.read()
        values = worker.read()
    assert (values["children"], values.get(f"child_count.{A_COPY}")) == (1, None)
    assert values["children_bytes"] > 20e6
