"""What of a host is not prepared for a soak, and what to do about it. Changes nothing, starts nothing.

Every finding is one line: what it is, what it does to a soak, and the command that changes it. docs/operations.md says
how to mend it for good.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import psutil

BUSY_SHARE = 0.25
"""Of the processors, over five minutes."""
HEAVY_SHARE = 0.10
"""Of one processor: a process that takes so much disturbs what is measured."""
LOOK_S = 0.5
MOST_NAMED = 5
CRON = ("cron", "crond", "anacron", "fcron")
CRON_FOLDERS = ("etc/cron.d", "etc/cron.hourly", "etc/cron.daily", "etc/cron.weekly", "var/spool/cron/crontabs")
TIMERS = "etc/systemd/system"
UPGRADES = "etc/apt/apt.conf.d/20auto-upgrades"

Heavy = Sequence[tuple[str, int, float]]
"""Processes that take much of a processor: name, pid, share of one."""


def unprepared(
    root: Path = Path("/"), *, load: Callable[[], float] = lambda: os.getloadavg()[1],
    heavy: Callable[[], Heavy] | None = None, names: Callable[[], Mapping[str, int]] | None = None,
) -> Iterator[str]:  # fmt: skip
    """Yield what of a host is not prepared for a soak. Takes half a second, in which other programs are watched.

    Args:
        root: where the host's files are, for tests.
        load: processes that ran or waited to run, on average over five minutes.
        heavy: see `Heavy`.
        names: the names of running processes, each with one pid.
    """
    yield from _huge_pages(root)
    yield from _swap(root)
    yield from _governor(root)
    yield from _load(load(), len(os.sched_getaffinity(0)))
    yield from _heavy((heavy or heavy_processes)())
    yield from _cron(root, (names or _names)())
    yield from _timers(root)


def heavy_processes(look_s: float = LOOK_S) -> Heavy:
    """Watch every visible process except this one and its parents; return the heavy ones, heaviest first."""
    mine = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    before = _processor_s()
    begun_s = time.monotonic()
    time.sleep(look_s)
    seconds = time.monotonic() - begun_s
    found = [
        (name, pid, (used_s - before[pid][1]) / seconds)
        for pid, (name, used_s) in _processor_s().items()
        if pid in before and pid not in mine
    ]
    return sorted((one for one in found if one[2] > HEAVY_SHARE), key=lambda one: -one[2])


def _huge_pages(root: Path) -> Iterator[str]:
    if "[always]" in _text(root / "sys/kernel/mm/transparent_hugepage/enabled"):
        yield (
            "transparent huge pages: always on, so that resident memory comes and goes in steps of 2 MB: "
            "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled"
        )


def _swap(root: Path) -> Iterator[str]:
    places = [line.split()[0] for line in _text(root / "proc/swaps").splitlines()[1:] if line.strip()]
    if places:
        named = ", ".join(places)
        yield f"swap: {named}: what is swapped out is missing in resident memory, and comes back late: swapoff -a"


def _governor(root: Path) -> Iterator[str]:
    found = [_text(path).strip() for path in root.glob("sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor")]
    slow = sorted({name for name in found if name and name != "performance"})
    if slow:
        yield (
            f"processor: governor {', '.join(slow)}, so that latency follows the frequency: "
            "cpupower frequency-set --governor performance (Debian: linux-cpupower)"
        )


def _load(load: float, cores: int) -> Iterator[str]:
    if load > BUSY_SHARE * cores:
        yield (
            f"load: {load:.1f} on {cores} processors over the last five minutes: wait, or stop what runs, or take "
            "another host; a soak beside other work measures that too"
        )


def _heavy(heavy: Heavy) -> Iterator[str]:
    if heavy:
        named = ", ".join(f"{name} ({pid}) {share:.0%}" for name, pid, share in heavy[:MOST_NAMED])
        yield f"other programs: {named} of a processor: stop them for the soak"


def _cron(root: Path, names: Mapping[str, int]) -> Iterator[str]:
    running = [name for name in CRON if name in names]
    jobs = sorted(
        f"{folder}/{path.name}"
        for folder in CRON_FOLDERS
        for path in _listed(root / folder)
        if not path.name.startswith(".")
    )
    if running and jobs:
        more = f" and {len(jobs) - MOST_NAMED} more" if len(jobs) > MOST_NAMED else ""
        yield f"{running[0]}: starts {', '.join(jobs[:MOST_NAMED])}{more} at any time: systemctl stop {running[0]}"


def _timers(root: Path) -> Iterator[str]:
    """Find the timers that are enabled, on a host whose first process is systemd."""
    if not (root / "run/systemd/system").is_dir():
        return
    enabled = {path.name for path in (root / TIMERS).glob("*.wants/*.timer")}
    others = sorted(
        name for name in enabled if not name.startswith("soakd") and not _is_masked(root / TIMERS / name)
    )  # fmt: skip
    if others:
        upgrades = "upgrade packages unattended, and " if _upgrades_unattended(root) else ""
        named = " ".join(others)
        yield f"timers: {named}: they {upgrades}start at any time: systemctl mask --now {named}"


def _upgrades_unattended(root: Path) -> bool:
    lines = _text(root / UPGRADES).splitlines()
    return any("Unattended-Upgrade" in line and '"0"' not in line for line in lines)


def _is_masked(path: Path) -> bool:
    return path.is_symlink() and str(path.readlink()) == os.devnull


def _listed(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.is_file()]
    except OSError:
        return []


def _names() -> dict[str, int]:
    return {process.info["name"]: process.pid for process in psutil.process_iter(["name"])}


def _processor_s() -> dict[int, tuple[str, float]]:
    found = {}
    for process in psutil.process_iter(["name", "cpu_times"]):
        if (times := process.info["cpu_times"]) is not None:
            found[process.pid] = process.info["name"], times.user + times.system
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
