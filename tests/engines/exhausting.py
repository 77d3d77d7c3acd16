"""Engines that use up what they may have: memory, address space, file descriptors."""

import itertools
import resource
from collections.abc import Callable
from pathlib import Path

Operation = Callable[[], object]
AFTER_OPERATIONS = 200


def fills_its_cgroup(group: str) -> Operation:
    """Move into a memory cgroup, and fill it: the kernel ends that."""
    (Path(group) / "cgroup.procs").write_text("0", encoding="ascii")
    return _keeping(lambda: b"x" * 1_000_000)


def runs_out_of_address_space(megabytes: int) -> Operation:
    size = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + megabytes * 1_000_000,) * 2)
    return _keeping(lambda: b"x" * 1_000_000)


def runs_out_of_descriptors(most: int) -> Operation:
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return _keeping(lambda: open("/dev/null", "rb"))


def _keeping(make: Callable[[], object]) -> Operation:
    kept: list[object] = []
    count = itertools.count()

    def operate() -> None:
        if next(count) > AFTER_OPERATIONS:
            kept.append(make())

    return operate
