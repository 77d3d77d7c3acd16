"""The host under a run: pressure, what other programs take, steps of its clocks, what is left of its disk.

`HostReader` reads; `HostWatch` decides which readings are incidents, and when a run must end while it still can in
order. What the kernel does not report (no /proc/pressure, no steal) is absent, and no incident.
"""

import contextlib
import errno
import os
import resource
import shutil
import time
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

import psutil

from soakd.wire.lines import Stamp

READ_EVERY_S = 5.0
"""However often engines are sampled: it looks at every process of the run."""
PRESSURES = ("cpu", "memory", "io")
BOUNDS: Mapping[str, tuple[str, float, str]] = {
    "host_memory_pressure_ratio": ("host_memory_pressure", 0.10, "processes waited for memory {:.0%} of the time"),
    "host_io_pressure_ratio": ("host_io_pressure", 0.50, "processes waited for the disk {:.0%} of the time"),
    "host_steal_ratio": ("host_steal", 0.05, "the hypervisor took {:.0%} of the processors"),
    "host_others_ratio": ("host_busy", 0.25, "other programs took {:.0%} of the processors"),
    "daemon_fds_ratio": ("fd_limit", 0.80, "soakd has {:.0%} of the file descriptors that it may have (ulimit -n)"),
}
"""Reading -> the kind of the incident, the bound above which it is one, and its words."""
IN_A_ROW = 3
"""So many readings in a row above a bound are an incident; the first second of a cron job is not."""
CLOCK_STEP_S, SLEEP_S = 5.0, 1.0
LEAST_FREE_BYTES = 20e6
"""Needed for the last records, the verdict and the reports: a run ends before the disk has less."""
SHM = Path("/dev/shm")  # noqa: S108 - looked at, not written
LEAST_SHM_BYTES = 32e6
"""Of new files in /dev/shm: an incident, and each time that they have doubled again."""
MOST_SHM_FILES = 5000
DAY_S, BUDGET_A_DAY_BYTES, LEAST_BUDGET_BYTES = 86400.0, 25e6, 200e6


class HostReader:
    """Reads the host; remembers the counters of the last time.

    Args:
        folder: the run's.
        proc: where /proc is, for tests.
        shm: where shared memory has its files, for tests.
    """

    def __init__(self, folder: Path | None, proc: Path = Path("/proc"), shm: Path = SHM) -> None:
        self._folder = folder
        self._proc = proc
        self._shm = shm
        self._begun_s = time.time()
        self._me = psutil.Process()
        self._before: dict[str, float] = {}
        self._before_s = 0.0

    def read(self) -> dict[str, float]:
        """Return what can be read: shares of the time since the last reading, bytes, counts. Takes milliseconds."""
        now_s = time.monotonic()
        totals = {f"pressure.{name}": total for name, total in self._pressures()} | dict(self._processors())
        totals |= self._ours()
        gained = {name: total - self._before.get(name, total) for name, total in totals.items()}
        seconds, self._before, self._before_s = now_s - self._before_s, totals, now_s
        found = {
            f"host_{name}_pressure_ratio": min(1.0, gained[f"pressure.{name}"] / seconds)
            for name in PRESSURES
            if f"pressure.{name}" in gained
        }
        if (all_s := gained.get("all", 0.0)) > 0:
            found["host_steal_ratio"] = max(0.0, gained["steal"] / all_s)
            if "ours" in gained:
                found["host_others_ratio"] = max(0.0, min(1.0, (gained["busy"] - gained["ours"]) / all_s))
        found |= self._descriptors()
        oom_kills = self._oom_kills()
        return {name: round(value, 4) for name, value in found.items()} | self.disk() | self._new_shm() | oom_kills

    def disk(self) -> dict[str, float]:
        """Return what the run has written, and what its file system has left; nothing if the folder is gone."""
        if self._folder is None:
            return {}
        try:
            free = float(shutil.disk_usage(self._folder).free)
            return {"run_bytes": float(sum(_sizes(self._folder))), "disk_free_bytes": free}
        except OSError:
            return {}

    def _new_shm(self) -> dict[str, float]:
        """Return the bytes of this user's files in /dev/shm that are newer than the run: whose they are, none tells."""
        total = 0.0
        with contextlib.suppress(OSError), os.scandir(self._shm) as entries:
            for entry in islice(entries, MOST_SHM_FILES):
                with contextlib.suppress(OSError):
                    found = entry.stat(follow_symlinks=False)
                    if found.st_uid == os.getuid() and found.st_ctime >= self._begun_s:
                        total += found.st_blocks * 512
        return {"shm_bytes": total} if total else {}

    def _pressures(self) -> Iterator[tuple[str, float]]:
        for name in PRESSURES:
            try:
                text = (self._proc / "pressure" / name).read_text(encoding="ascii")
                yield name, int(text.partition("total=")[2].split()[0]) / 1e6
            except (OSError, ValueError, IndexError):
                continue  # an older kernel, or one that was built or started without

    def _processors(self) -> Iterator[tuple[str, float]]:
        try:
            fields = (self._proc / "stat").read_text(encoding="ascii").partition("\n")[0].split()[1:9]
            user, nice, system, idle, iowait, irq, softirq, steal = (int(f) / os.sysconf("SC_CLK_TCK") for f in fields)
        except (OSError, ValueError):
            return
        busy = user + nice + system + irq + softirq
        yield from (("busy", busy), ("steal", steal), ("all", busy + idle + iowait + steal))

    def _ours(self) -> dict[str, float]:
        """Processor seconds of the daemon and all below it, those that have ended included."""
        total = 0.0
        try:
            for process in (self._me, *self._me.children(recursive=True)):
                with contextlib.suppress(psutil.Error):
                    total += sum(process.cpu_times()[:4])
        except OSError:  # psutil lets it through: no file descriptor is left
            return {}
        return {"ours": total}

    def _descriptors(self) -> dict[str, float]:
        try:
            return {"daemon_fds_ratio": self._me.num_fds() / resource.getrlimit(resource.RLIMIT_NOFILE)[0]}
        except OSError as error:  # not one is left to count them with
            return {"daemon_fds_ratio": 1.0} if error.errno == errno.EMFILE else {}

    def _oom_kills(self) -> dict[str, float]:
        try:
            with open(self._proc / "vmstat", encoding="ascii") as file:
                counts = [float(line.split()[1]) for line in file if line.startswith("oom_kill ")]
            return {"host_oom_kills_total": counts[0]} if counts else {}
        except (OSError, ValueError, IndexError):
            return {}


class HostWatch:
    """Decides which readings are incidents, and when a run must end. Pure: remembers counts, reads nothing.

    Args:
        budget_bytes: what the run's folder may take; None for no bound.
    """

    def __init__(self, budget_bytes: float | None) -> None:
        self._budget_bytes = budget_bytes
        self._above: dict[str, int] = {}
        self._oom_kills: float | None = None
        self._shm_told = LEAST_SHM_BYTES / 2
        self._at: Stamp | None = None

    def look(self, reading: Mapping[str, float], at: Stamp) -> Iterator[tuple[str, str]]:
        """Yield the incidents of now: kind and sentence. A state that lasts is one incident, when it begins."""
        for name, (what, bound, words) in BOUNDS.items():
            self._above[name] = self._above.get(name, 0) + 1 if reading.get(name, 0.0) > bound else 0
            if self._above[name] == IN_A_ROW:
                yield what, words.format(reading[name])
        kills = reading.get("host_oom_kills_total")
        if kills is not None and self._oom_kills is not None and kills > self._oom_kills:
            yield "host_oom", f"the kernel has killed {_processes(kills - self._oom_kills)} for want of memory"
        self._oom_kills = kills if kills is not None else self._oom_kills
        if (shm := reading.get("shm_bytes", 0.0)) >= 2 * self._shm_told:
            self._shm_told = shm
            yield "shm_left", f"files of this user in /dev/shm that are newer than the run take {shm / 1e6:.0f} MB"
        yield from self._clocks(at)

    def must_end(self, reading: Mapping[str, float]) -> tuple[str, str] | None:
        """Return why the run must end now, while it can in order: kind and sentence; None if it need not."""
        free, taken = reading.get("disk_free_bytes"), reading.get("run_bytes")
        if free is not None and free < LEAST_FREE_BYTES:
            return "disk_full", (
                f"{free / 1e6:.0f} MB are left on the disk of the run, {LEAST_FREE_BYTES / 1e6:.0f} MB are kept to "
                "seal it: the run ends here"
            )
        if taken is not None and self._budget_bytes is not None and taken > self._budget_bytes:
            return "disk_budget", (
                f"the run has written {taken / 1e6:.0f} MB, {self._budget_bytes / 1e6:.0f} MB are allowed "
                "(run.disk_budget): the run ends here"
            )
        return None

    def _clocks(self, at: Stamp) -> Iterator[tuple[str, str]]:
        before, self._at = self._at, at
        if before is None:
            return
        wall_s, boot_s, mono_s = (now - then for now, then in zip(at, before, strict=True))
        if boot_s - mono_s > SLEEP_S:
            yield "sleep", f"the host slept {boot_s - mono_s:.0f}s"
        elif abs(wall_s - boot_s) > CLOCK_STEP_S:
            yield "clock_step", f"the wall clock stepped by {wall_s - boot_s:+.0f}s"


def budget_bytes(given: float | None, duration_s: float, engines: int) -> float | None:
    """Return what a run may write: as configured (0 for no bound), else 25 MB an engine and day, at least 200 MB."""
    if given is not None:
        return given or None
    return max(LEAST_BUDGET_BYTES, BUDGET_A_DAY_BYTES * engines * duration_s / DAY_S)


def _processes(count: float) -> str:
    return "1 process" if count == 1 else f"{count:.0f} processes"


def _sizes(folder: Path) -> Iterator[int]:
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                yield os.lstat(os.path.join(place, name)).st_blocks * 512  # noqa: PTH118 - called every few seconds
            except OSError:
                continue
