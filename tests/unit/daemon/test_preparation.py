"""What of a host is not prepared for a soak, on hosts made of files; each finding names what mends it."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from soakd.daemon import preflight
from soakd.daemon.host.preparation import heavy_processes, unprepared
from tests.booted import wait_for
from tests.recorded import plan_of


def host(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def found(root: Path, *, load: float = 0.0, names: tuple[str, ...] = ()) -> list[str]:
    return list(unprepared(root, load=lambda: load, heavy=list, names=lambda: dict.fromkeys(names, 1)))


THP = "sys/kernel/mm/transparent_hugepage/enabled"
GOVERNOR = "sys/devices/system/cpu/cpu{}/cpufreq/scaling_governor"
SWAPS = "Filename\tType\tSize\tUsed\tPriority\n"


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({THP: "[always] madvise never\n"}, "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled"),
        ({"proc/swaps": f"{SWAPS}/dev/sda2\tpartition\t8\t0\t-2\n"}, "swap: /dev/sda2: what is swapped out"),
        ({GOVERNOR.format(0): "powersave\n", GOVERNOR.format(1): "performance\n"}, "governor powersave"),
    ],
)
def test_what_the_kernel_does_to_a_soak_is_named_with_what_mends_it(
    tmp_path: Path, files: dict[str, str], words: str
) -> None:
    (said,) = found(host(tmp_path, files))
    assert words in said


def test_a_prepared_host_is_passed_over_in_silence(tmp_path: Path) -> None:
    files = {THP: "always [madvise] never\n", "proc/swaps": SWAPS, GOVERNOR.format(0): "performance\n"}
    assert found(host(tmp_path, {**files, "etc/cron.daily/apt-compat": ""})) == []
    assert found(tmp_path / "nothing is known of") == []


def test_load_and_heavy_programs_are_named(tmp_path: Path) -> None:
    (said,) = found(tmp_path, load=float(os.cpu_count() or 1))
    assert "over the last five minutes" in said
    (said,) = unprepared(tmp_path, load=lambda: 0.0, heavy=lambda: [("backup", 7, 0.8)], names=dict)
    assert said == "other programs: backup (7) 80% of a processor: stop them for the soak"


def test_cron_is_named_with_its_jobs_where_it_runs(tmp_path: Path) -> None:
    jobs = {f"etc/cron.daily/{name}": "" for name in "abcdefg"} | {"etc/cron.d/.placeholder": ""}
    root = host(tmp_path, jobs)
    assert found(root) == []
    (said,) = found(root, names=("cron", "bash"))
    assert "etc/cron.daily/a" in said
    assert "and 2 more" in said
    assert said.endswith("systemctl stop cron")


def test_timers_are_named_where_systemd_runs_and_they_are_not_masked(tmp_path: Path) -> None:
    wants = "etc/systemd/system/timers.target.wants"
    files = {f"{wants}/{name}.timer": "" for name in ("apt-daily", "fstrim", "soakd-release")}
    root = host(tmp_path, files)
    assert found(root) == []
    (root / "run/systemd/system").mkdir(parents=True)
    (said,) = found(root)
    assert said.startswith("timers: apt-daily.timer fstrim.timer: they start at any time")
    assert said.endswith("systemctl mask --now apt-daily.timer fstrim.timer")
    host(root, {"etc/apt/apt.conf.d/20auto-upgrades": 'APT::Periodic::Unattended-Upgrade "1";\n'})
    assert "they upgrade packages unattended" in found(root)[0]
    for name in ("apt-daily", "fstrim"):
        (root / f"etc/systemd/system/{name}.timer").symlink_to("/dev/null")
    assert found(root) == []


def test_a_busy_program_is_seen() -> None:
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        wait_for(lambda: busy.pid in [pid for _, pid, _ in heavy_processes(1.0)], 60, "the busy program")
    finally:
        busy.kill()
        busy.wait()


def test_too_few_descriptors_are_refused_before_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (64, 64))
    found = [finding for finding in preflight.check_host(plan_of(), tmp_path) if "descriptors" in finding.text]
    assert [(finding.level, finding.text) for finding in found] == [
        ("error", "file descriptors: 64 allowed, 264 needed: ulimit -n 264 or more")
    ]
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    assert [f for f in preflight.check_host(plan_of(), tmp_path) if "descriptors" in f.text] == []
