"""Who killed a process for want of memory, as the kernel's counters tell it; and how an end is put into words."""

import os
from pathlib import Path

import pytest

from soakd.endings import KernelKills

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
def test_a_kill_in_its_memory_cgroup_is_told_with_the_limit(tmp_path: Path, version: tuple[str, str, str, str]) -> None:
    kernel = Kernel(tmp_path, *version)
    kills = kernel.kills()
    assert kills.since() == {}
    kernel.count(1, 1)
    assert kills.since() == {
        "out_of_memory": "cgroup", "words": "out of memory: killed by the kernel at the limit of 64 MB",
    }  # fmt: skip


def test_a_kill_elsewhere_on_the_host_is_told_as_what_it_is(tmp_path: Path) -> None:
    kernel = Kernel(tmp_path, *VERSION_2)
    kills = kernel.kills()
    kernel.count(0, 2)
    assert kills.since()["out_of_memory"] == "host"


def test_a_kill_of_long_ago_was_somebody_elses(tmp_path: Path) -> None:
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
