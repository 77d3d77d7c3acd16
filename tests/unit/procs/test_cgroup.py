"""What the kernel charges to the cgroup of a worker, by files laid out as both versions have them."""

import os
from pathlib import Path

import pytest

from soakd.procs.cgroup import read_cgroup

VERSION_2 = """anon 1589248
file 815104
kernel 1196032
kernel_stack 16384
pagetables 81920
sock 4096
vmalloc 0
shmem 812800
file_mapped 0
slab 937296
"""
"""Laid out as the kernel documents it (admin-guide/cgroup-v2.rst); the numbers are made up."""
VERSION_1 = """cache 2641920
rss 5160960
shmem 270336
mapped_file 0
total_shmem 270336
"""


def host(root: Path, cgroups: dict[int, str], files: dict[str, str]) -> tuple[Path, Path]:
    """Make up /proc and /sys/fs/cgroup: what /proc/PID/cgroup says, and the files of cgroups."""
    for pid, text in cgroups.items():
        (root / "proc" / str(pid)).mkdir(parents=True)
        (root / "proc" / str(pid) / "cgroup").write_text(text, encoding="ascii")
    for name, text in files.items():
        path = root / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="ascii")
    return root / "proc", root / "cgroup"


@pytest.mark.parametrize("place", ["", "unified/"])
def test_version_2_tells_shared_memory_sockets_and_the_kernels_own(tmp_path: Path, place: str) -> None:
    proc, mount = host(
        tmp_path, {7: "0::/box\n", 1: "0::/system.slice/soakd.service\n"}, {f"{place}box/memory.stat": VERSION_2}
    )
    assert read_cgroup(7, 1, proc, mount) == {
        "cgroup_shmem_bytes": 812800, "cgroup_sock_bytes": 4096, "cgroup_kernel_bytes": 1196032,
        "cgroup_slab_bytes": 937296,
    }  # fmt: skip


def test_version_1_has_files_of_its_own_for_the_kernel(tmp_path: Path) -> None:
    lines = {7: "5:devices:/\n4:memory:/box\n0::/\n", 1: "4:memory:/\n0::/\n"}
    files = {"memory/box/memory.stat": VERSION_1, "memory/box/memory.kmem.tcp.usage_in_bytes": "8192\n"}
    proc, mount = host(tmp_path, lines, files)
    assert read_cgroup(7, 1, proc, mount) == {"cgroup_shmem_bytes": 270336, "cgroup_sock_bytes": 8192}


def test_a_cgroup_that_is_shared_with_the_daemon_tells_nothing(tmp_path: Path) -> None:
    proc, mount = host(tmp_path, {7: "0::/box\n", 1: "0::/box\n"}, {"box/memory.stat": VERSION_2})
    assert read_cgroup(7, 1, proc, mount) == {}
    assert read_cgroup(os.getpid(), os.getppid()) == {}


def test_where_there_are_no_cgroups_nothing_is_told(tmp_path: Path) -> None:
    assert read_cgroup(7, 1, tmp_path, tmp_path) == {}
    proc, mount = host(tmp_path / "host", {7: "0::/box\n", 1: "0::/\n"}, {})
    assert read_cgroup(7, 1, proc, mount) == {}
