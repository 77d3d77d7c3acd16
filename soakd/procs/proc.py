"""Readings from outside: a worker, a server or the daemon by `/proc` and psutil; the host's memory; the clocks."""

import resource
import time

import psutil

from soakd.errors import ProbeError
from soakd.setup.plan import Plan
from soakd.wire.lines import Stamp

MEMORY_RESERVE_SHARE, LEAST_MEMORY_RESERVE_BYTES = 0.05, 500e6


def now() -> Stamp:
    """Read the three clocks."""
    return Stamp(time.time(), time.clock_gettime(time.CLOCK_BOOTTIME), time.monotonic())


def read(process: psutil.Process) -> dict[str, float]:
    """Read one process: resident and swapped bytes, fds, threads, processor seconds. Microseconds of work.

    Raises:
        ProbeError: the process is gone, or not ours to read.
    """
    try:
        with process.oneshot():
            cpu = process.cpu_times()
            return {
                **status_bytes(process.pid),
                "fds": process.num_fds(),
                "threads": process.num_threads(),
                "cpu_s_total": round(cpu.user + cpu.system, 3),
            }
    except (psutil.Error, OSError) as error:
        raise ProbeError(f"process {process.pid}: {error}") from error


def read_proportional(process: psutil.Process) -> dict[str, float]:
    """Read the proportional and unique set sizes; milliseconds, during which the process cannot map memory.

    Raises:
        ProbeError: as for `read`.
    """
    try:
        memory = process.memory_full_info()
    except (psutil.Error, OSError) as error:
        raise ProbeError(f"process {process.pid}: {error}") from error
    return {"pss_bytes": memory.pss, "uss_bytes": memory.uss}


def memory_available_bytes() -> float:
    """Read what the host could give without swapping: MemAvailable. Microseconds of work.

    Raises:
        ProbeError: it cannot be read: no file descriptor is left.
    """
    try:
        return float(psutil.virtual_memory().available)
    except OSError as error:
        raise ProbeError(f"memory of the host: {error}") from error


def memory_total_bytes() -> float:
    """Read the host's memory."""
    return float(psutil.virtual_memory().total)


def memory_reserve_bytes(plan: Plan) -> float:
    """Return the memory that must stay available on the host while a plan runs."""
    reserve = plan.config.run.memory_reserve_bytes
    if reserve is not None:
        return reserve
    return max(LEAST_MEMORY_RESERVE_BYTES, MEMORY_RESERVE_SHARE * memory_total_bytes())


def cpu_of_children_s() -> float:
    """Processor seconds of the children that have ended: of the judge, but for a worker that ends just then."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def is_stopped(process: psutil.Process) -> bool:
    """Return whether a signal has stopped the process."""
    try:
        return bool(process.status() == psutil.STATUS_STOPPED)
    except psutil.Error:
        return False


_FIELDS = {
    "VmRSS:": "rss_bytes", "RssAnon:": "rss_anon_bytes", "RssShmem:": "rss_shmem_bytes", "VmSwap:": "swap_bytes",
}  # fmt: skip


def status_bytes(pid: int) -> dict[str, float]:
    """Read resident and swapped bytes of a process; source: proc_pid_status(5)."""
    # psutil gives anonymous memory only through smaps, which is a thousand times dearer.
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as status:
        rows = (line.split() for line in status)
        return {_FIELDS[row[0]]: int(row[1]) * 1024 for row in rows if row and row[0] in _FIELDS}
