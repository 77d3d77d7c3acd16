"""Memory that the kernel charges to the cgroup of a process: shared memory, sockets, the kernel's own.

Read only where the cgroup is the process's own. That of a worker is usually the daemon's, in which nobody can tell
whose memory it is; an engine that is started in a container, or moves itself, has one.
"""

from collections.abc import Iterator
from pathlib import Path

MOUNT = Path("/sys/fs/cgroup")
STAT = "memory.stat"
OF_STAT = ("shmem", "sock", "kernel", "slab")
"""Lines of memory.stat of version 2; version 1 has the first alone, and files of its own for the others."""
OF_FILES = {"kernel": "memory.kmem.usage_in_bytes", "sock": "memory.kmem.tcp.usage_in_bytes"}
"""Of version 1; kernels of today have the second alone."""


def read_cgroup(pid: int, mine: int, proc: Path = Path("/proc"), mount: Path = MOUNT) -> dict[str, float]:
    """Return `cgroup_NAME_bytes` of a process; nothing if its cgroup is that of `mine` too, or cannot be read.

    Args:
        pid: the process.
        mine: the process that its cgroup must not be shared with.
        proc: where the kernel shows processes, for tests.
        mount: where it shows cgroups, for tests.
    """
    folder = _folder(pid, proc, mount)
    if folder is None or folder == _folder(mine, proc, mount):
        return {}
    return {f"cgroup_{name}_bytes": size for name, size in _sizes(folder)}


def _folder(pid: int, proc: Path, mount: Path) -> Path | None:
    """Return where the memory controller of a process shows itself. Source: cgroups(7)."""
    for line in _text(proc / str(pid) / "cgroup").splitlines():
        _, controllers, place = line.split(":", 2)
        if "memory" in controllers.split(","):
            places = [mount / "memory"]
        elif not controllers:
            places = [mount, mount / "unified"]
        else:
            continue
        for root in places:
            if (folder := root / place.lstrip("/")).joinpath(STAT).is_file():
                return folder
    return None


def _sizes(folder: Path) -> Iterator[tuple[str, int]]:
    words = (line.split() for line in _text(folder / STAT).splitlines())
    stat = {name: int(size) for name, size in words if size.isdecimal()}
    yield from ((name, stat[name]) for name in OF_STAT if name in stat)
    for name, file in OF_FILES.items():
        if name not in stat and (text := _text(folder / file).strip()).isdecimal():
            yield name, int(text)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
