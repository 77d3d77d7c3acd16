"""Who killed a process for want of memory, as the kernel's counters tell it; and how an end is put into words."""

import os
import signal
from pathlib import Path
from typing import cast

import psutil
import pytest

from soakd.daemon.workers.exit_reasons import describe_end, describe_staying, is_in_order
from soakd.daemon.workers.worker import Worker
from soakd.procs.exits import KernelKills
from soakd.procs.output import Output
from soakd.wire.records import Stamp, make_record

VERSION_2 = ("0::/soak.slice/soakd.service\n", "soak.slice/soakd.service", "memory.events", "memory.max")
VERSION_1 = (
    "4:memory:/soak\n1:cpu:/other\n0::/\n", "memory/soak", "memory.oom_control", "memory.limit_in_bytes",
)  # fmt: skip


class Kernel:
    """A kernel made of files."""

    def __init__(self, folder: Path, lines: str, group: str, events: str, limit: str) -> None:
        self.proc, self.cgroups = folder / "proc", folder / "cgroup"
        (self.proc / "7").mkdir(parents=True)
        (self.proc / "7" / "cgroup").write_text(lines, encoding="utf-8")
        self.events = self.cgroups / group / events
        self.events.parent.mkdir(parents=True)
        (self.events.parent / limit).write_text("64000000\n", encoding="utf-8")
        self.count(0, 0)

    def count(self, group: int, host: int) -> None:
        self.events.write_text(f"low 0\nunder_oom 0\noom 9\noom_kill {group}\n", encoding="utf-8")
        (self.proc / "vmstat").write_text(f"nr_free_pages 1\noom_kill {host}\n", encoding="utf-8")

    def kills(self) -> KernelKills:
        return KernelKills(7, self.proc, self.cgroups)


@pytest.mark.parametrize("version", [VERSION_2, VERSION_1])
def test_a_kill_in_its_memory_cgroup_is_described_with_the_limit(
    tmp_path: Path, version: tuple[str, str, str, str]
) -> None:
    kernel = Kernel(tmp_path, *version)
    kills = kernel.kills()
    assert kills.since() == {}
    kernel.count(1, 1)
    assert kills.since() == {
        "out_of_memory": "cgroup", "words": "out of memory: killed by the kernel at the limit of 64 MB",
    }  # fmt: skip


def test_a_kill_elsewhere_on_the_host_is_described_as_such(tmp_path: Path) -> None:
    kernel = Kernel(tmp_path, *VERSION_2)
    kills = kernel.kills()
    kernel.count(0, 2)
    assert kills.since()["out_of_memory"] == "host"


def test_a_kill_of_long_ago_was_of_another_process(tmp_path: Path) -> None:
    kernel = Kernel(tmp_path, *VERSION_2)
    kills = kernel.kills()
    kernel.count(1, 1)
    kills.refresh()
    assert kills.since()["out_of_memory"] == "cgroup", "its end may not have been heard of yet"
    kills.refresh()
    assert kills.since() == {}


def test_a_kernel_that_counts_nothing_is_believed_nothing(tmp_path: Path) -> None:
    assert KernelKills(7, tmp_path, tmp_path).since() == {}
    kernel = Kernel(tmp_path / "strange", *VERSION_2)
    kernel.events.write_text("oom_kill many\n", encoding="utf-8")
    assert kernel.kills().since() == {}


def test_this_kernel_can_be_read() -> None:
    assert KernelKills(os.getpid()).since() == {}


class Ended:
    """What is known of a worker that has ended."""

    def __init__(self, *, bye: dict[str, object] | None = None, **known: object) -> None:
        at = Stamp(0.0, 0.0, 0.0)
        self.bye = None if bye is None else make_record("bye", engine="mine", segment=0, at=at, body=bye)
        self.killed_for = known.get("killed_for")
        self.start_failure = known.get("start_failure")
        self.output = Output()
        self.kills = None
        self.outside = psutil.Process()


def in_order(worker: Ended, status: int, *, stopping: bool = False) -> bool:
    return is_in_order(cast("Worker", worker), status, stopping=stopping)


def told_of(worker: Ended, status: int) -> tuple[str, str]:
    return describe_end(cast("Worker", worker), status)[:2]


BYE: dict[str, object] = {"stopped": False}


def test_a_life_is_in_order_only_where_its_process_exits_with_0_after_bye() -> None:
    assert in_order(Ended(bye=BYE), 0)
    for status in (7, 1, -signal.SIGSEGV, -signal.SIGTERM):
        assert not in_order(Ended(bye=BYE), status)
        assert not in_order(Ended(bye=BYE), status, stopping=True)
    assert not in_order(Ended(), 0), "it has not said bye"
    assert not in_order(Ended(bye=BYE, killed_for="did not exit"), 0)


def test_while_the_run_ends_early_a_crash_is_a_crash_and_who_has_not_begun_owes_no_bye() -> None:
    for status in (0, -signal.SIGTERM):
        assert in_order(Ended(), status, stopping=True)
    assert in_order(Ended(start_failure="no backend"), 3, stopping=True)
    for status in (7, -signal.SIGSEGV, -signal.SIGKILL):
        assert not in_order(Ended(), status, stopping=True)
    assert not in_order(Ended(killed_for="did not stop in time"), 0, stopping=True)


def test_an_end_after_bye_says_how_and_that_the_work_was_done() -> None:
    after = "after its work was done, while the interpreter shut down"
    assert told_of(Ended(bye=BYE), -signal.SIGSEGV) == ("crash", f"killed by SIGSEGV {after}")
    assert told_of(Ended(bye=BYE), 7) == ("exit", f"exited with status 7 {after}")
    assert told_of(Ended(), 7) == ("exit", "exited with status 7 before its time")
    assert told_of(Ended(bye=BYE, killed_for="did not exit within 2s"), -9) == ("hang", "did not exit within 2s")


@pytest.mark.parametrize(
    ("threads", "words"),
    [
        (["flusher"], "a thread that the engine left running (flusher)"),
        (["a", "b\x1b[31m"], "threads that the engine left running (a, b\N{REPLACEMENT CHARACTER}[31m)"),
        ([], "an atexit handler or a finalizer does not return"),
        (None, "an atexit handler or a finalizer does not return"),
        ("flusher", "an atexit handler or a finalizer does not return"),
    ],
)
def test_a_process_that_stays_after_its_work_says_what_keeps_it(threads: object, words: str) -> None:
    assert describe_staying(cast("Worker", Ended(bye={"threads": threads}))) == words
