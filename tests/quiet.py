"""What a host gave a test: the share of its processors that went to others while the test ran.

A test marked `quiet` measures something that a busy host distorts. Where it fails, and others took more than they may,
the failure says nothing about soakd: it is a skip, with the share as its reason.
"""

import contextlib
import os
import resource
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

OTHERS_AT_MOST = 0.15
"""The share of all processors that other processes, and a hypervisor, may take from a quiet test."""

STEAL_COLUMN = 8
IDLE_COLUMNS = (4, 5)
GUEST_COLUMNS = (9, 10)
"""Columns of the `cpu` line of /proc/stat (proc_stat(5)), the label being 0; guest time is in user time already."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Processor time so far, in seconds: of the host (all processors), and of this process with all below it."""

    at_s: float
    busy_s: float
    steal_s: float
    own_s: float

    @classmethod
    def take(cls) -> "Reading":
        """Read /proc/stat and the resource usage of this process."""
        fields = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()
        ticks = {column: int(value) for column, value in enumerate(fields[1:], start=1)}
        left_out = {*IDLE_COLUMNS, *GUEST_COLUMNS, STEAL_COLUMN}
        per_second = os.sysconf("SC_CLK_TCK")
        usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return cls(
            at_s=time.monotonic(),
            busy_s=sum(value for column, value in ticks.items() if column not in left_out) / per_second,
            steal_s=ticks.get(STEAL_COLUMN, 0) / per_second,
            own_s=sum(usage.ru_utime + usage.ru_stime for usage in usages) + living_descendants_s(),
        )


def living_descendants_s() -> float:
    """Return the processor time of what this process has started and not ended yet, in seconds.

    A test that fails may not have ended its soak yet: that is not a busy host, and excuses nothing.
    """
    total_s = 0.0
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            total_s += sum(process.cpu_times()[:4])  # user, system, and those of its ended children
    return total_s


def taken_by_others(since: Reading, until: Reading, processors: int) -> tuple[float, float]:
    """Return the shares of all processors, 0 to 1, that went to other processes and to the hypervisor (steal)."""
    capacity_s = max((until.at_s - since.at_s) * processors, 1e-9)
    others_s = (until.busy_s - since.busy_s) - (until.own_s - since.own_s)
    return max(others_s, 0.0) / capacity_s, (until.steal_s - since.steal_s) / capacity_s


def reason_to_skip(needs: str, since: Reading, until: Reading, processors: int) -> str | None:
    """Return why a failure between two readings says nothing, or None where the host was quiet enough."""
    others, steal = taken_by_others(since, until, processors)
    if others + steal <= OTHERS_AT_MOST:
        return None
    return (
        f"needs {needs}: other processes took {others:.0%} of {processors} processors and the hypervisor {steal:.0%} "
        f"while it ran, at most {OTHERS_AT_MOST:.0%} may be taken"
    )
