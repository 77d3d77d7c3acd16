"""What a day brings: memory, descriptors and disks that are used up, clocks that step, a soak that is stopped.

Whole soaks, in real cgroups, limits and file systems. The right incident, the right verdict, and a journal that opens.
"""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from soakd.record import journal
from tests.booted import ROOT, wait_for
from tests.soaking import Soak, soaks_in

pytestmark = pytest.mark.integration

CGROUPS = (Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup"))
CAP_DAC_OVERRIDE, PR_CAPBSET_DROP = 1, 24


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[..., Soak]]:
    yield from soaks_in(tmp_path)


@pytest.fixture
def memory_cgroup() -> Iterator[Path]:
    """A memory cgroup of 150 MB, of either version."""
    for root in CGROUPS:
        folder = root / f"soakd-test-{os.getpid()}"
        limits = ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.max", "memory.swap.max")
        with contextlib.suppress(OSError):
            folder.mkdir()
            for name in limits:
                if (folder / name).exists():
                    (folder / name).write_text("0" if "swap.max" in name else "150000000", encoding="ascii")
            if any((folder / name).exists() for name in limits):
                yield folder
                wait_for(lambda: not (folder / "cgroup.procs").read_text(encoding="ascii"), 60, "an empty cgroup")  # noqa: B023
                folder.rmdir()
                return
            folder.rmdir()
    pytest.skip("no memory cgroup can be made here: needs root, and the memory controller")


def test_a_worker_that_the_kernel_kills_for_want_of_memory_is_told_of_as_that(
    begin: Callable[..., Soak], memory_cgroup: Path
) -> None:
    soak = begin("exhausting:fills_its_cgroup", f'{{ group = "{memory_cgroup}" }}')
    assert soak.finish() == 1, soak.said
    crashes = [i for i in soak.incidents() if i["what"] == "crash"]
    assert crashes, soak.incidents()
    assert all("SIGKILL, out of memory: killed by the kernel at the limit of 150 MB" in c["detail"] for c in crashes)
    told = [r.body for r in journal.read_records(soak.run / "run.db", "incident", engine="mine")]
    assert {body.get("out_of_memory") for body in told if body["what"] == "crash"} == {"cgroup"}
    assert "out of memory" in soak.check("stability.crashes")["reason"]
    assert soak.verdict["verdict"] == "FAIL"


def test_a_worker_out_of_address_space_fails_by_its_errors(begin: Callable[..., Soak]) -> None:
    soak = begin("exhausting:runs_out_of_address_space", "{ megabytes = 200 }")
    assert soak.finish() == 1, soak.said
    failed = {c["id"] for c in next(e for e in soak.verdict["engines"] if e["name"] == "mine")["checks"]
              if c["verdict"] == "FAIL"}  # fmt: skip
    assert failed & {"errors.ratio", "stability.crashes"}
    assert any("MemoryError" in i["detail"] for i in soak.incidents()), soak.incidents()


def test_a_worker_out_of_descriptors_fails_by_its_errors(begin: Callable[..., Soak]) -> None:
    soak = begin("exhausting:runs_out_of_descriptors", "{ most = 100 }")
    assert soak.finish() == 1, soak.said
    assert soak.check("errors.ratio")["verdict"] == "FAIL"
    assert any("Too many open files" in i["detail"] for i in soak.incidents()), soak.incidents()
    assert [i["what"] for i in soak.incidents() if i["what"] in ("crash", "exit", "hang")] == []


def test_a_daemon_out_of_descriptors_says_so_and_its_run_is_judged(begin: Callable[..., Soak]) -> None:
    soak = begin(duration=30)
    soak.wait_for_load()
    most = soak.process.num_fds() + 3
    soak.process.rlimit(psutil.RLIMIT_NOFILE, (most, most))
    code = soak.finish()
    assert "fd_limit" in soak.told()
    assert code in (0, 3, 4), soak.said
    assert soak.verdict["verdict"] != "INCOMPLETE"


def test_a_daemon_out_of_memory_leaves_a_whole_record_that_can_be_judged(begin: Callable[..., Soak]) -> None:
    soak = begin(duration=16)
    soak.wait_for_load()
    size = soak.process.memory_info().vms
    soak.process.rlimit(psutil.RLIMIT_AS, (size, size))  # its judge inherits that, and cannot load its arithmetic
    assert soak.finish() == 5, soak.said
    assert "soakd: the judge " in soak.said
    ends = [r for r in journal.read_records(soak.run / "run.db", "phase", engine="") if r.body["name"] == "end"]
    assert [end.body["reason"] for end in ends] == ["completed"]
    again = subprocess.run(
        [sys.executable, "-m", "soakd", "judge", str(soak.run), "--quiet"], check=False, timeout=120
    )  # fmt: skip
    assert again.returncode in (0, 3, 4)
    assert soak.check("stability.crashes")["verdict"] == "PASS"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[str, str], Path]]:
    """Mount small file systems: `disk("tmpfs", "30m")`."""
    mounted = []

    def mount(kind: str, size: str) -> Path:
        folder = tmp_path / "disk"
        folder.mkdir()
        if kind == "tmpfs":
            command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
        else:
            image = tmp_path / "image"
            subprocess.run(["truncate", "-s", size, str(image)], check=True)
            subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
            command = ["mount", "-o", "loop", str(image), str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"mounting needs root, and {kind}: {done.stderr.strip()}")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_disk_that_fills_ends_the_run_in_order(begin: Callable[..., Soak], disk: Callable[[str, str], Path]) -> None:
    folder = disk("tmpfs", "60m")
    soak = begin(duration=40, run_dir=folder / "run")
    soak.wait_for_load()
    (folder / "filler").write_bytes(bytes(45_000_000))
    code = soak.finish()
    assert "disk_full" in soak.told()
    assert code in (3, 4), soak.said
    assert soak.verdict["run"]["ended_by"] == "disk_full"
    assert soak.verdict["verdict"] in ("INCONCLUSIVE", "INVALID"), "too little was seen to pass or fail"


def test_a_disk_that_is_full_at_once_ends_the_run_and_loses_no_committed_record(
    begin: Callable[..., Soak], disk: Callable[[str, str], Path]
) -> None:
    folder = disk("tmpfs", "60m")
    soak = begin(duration=40, run_dir=folder / "run")
    soak.wait_for_load()
    committed = count(soak.run)
    with contextlib.suppress(OSError), open(folder / "filler", "wb") as filler:
        while True:
            filler.write(bytes(65536))
            filler.flush()
    code = soak.finish()
    assert code == 5, soak.said
    assert "soakd: " in soak.said
    assert "full" in soak.said or "No space left" in soak.said
    assert count(soak.run) >= committed
    (folder / "filler").unlink()
    again = subprocess.run(
        [sys.executable, "-m", "soakd", "run", "--resume", str(soak.run)],
        cwd=folder.parent, capture_output=True, text=True, check=False, timeout=200,
    )  # fmt: skip
    assert again.returncode in (3, 4), again.stdout + again.stderr
    assert soak.verdict["verdict"] != "INCOMPLETE"


def count(run: Path) -> int:
    return int(journal.query(run / "run.db", "SELECT COUNT(*) FROM record")[0][0])


def test_a_disk_that_becomes_read_only_ends_the_run(
    begin: Callable[..., Soak], disk: Callable[[str, str], Path]
) -> None:
    folder = disk("ext4", "100m")
    soak = begin(duration=40, run_dir=folder / "run")
    soak.wait_for_load()
    subprocess.run(["mount", "-o", "remount,abort", str(folder)], check=True)  # as after an error of the disk
    soak.said = "".join(soak.process.communicate(timeout=300))
    assert soak.process.returncode == 5, soak.said
    assert "cannot be written" in soak.said
    assert "Traceback" not in soak.said


def test_a_folder_that_becomes_read_only_is_said_and_the_journal_goes_on(begin: Callable[..., Soak]) -> None:
    soak = begin(duration=16, wrap=(sys.executable, "-c", UNPRIVILEGED))
    soak.wait_for_load()
    soak.run.chmod(0o500)
    soak.said = "".join(soak.process.communicate(timeout=300))
    soak.run.chmod(0o750)
    assert soak.process.returncode == 5, soak.said
    assert "cannot be written: Permission denied" in soak.said
    assert "Traceback" not in soak.said
    journal.check_whole(soak.run / "run.db")
    ends = [r for r in journal.read_records(soak.run / "run.db", "phase", engine="") if r.body["name"] == "end"]
    assert len(ends) == 1, "what was measured is all there"


UNPRIVILEGED = f"""
import ctypes, os, sys
ctypes.CDLL(None).prctl({PR_CAPBSET_DROP}, {CAP_DAC_OVERRIDE}, 0, 0, 0)  # modes of files hold for root too
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_a_soak_that_is_stopped_and_goes_on_blames_no_engine(begin: Callable[..., Soak]) -> None:
    soak = begin(duration=40)
    soak.wait_for_load()
    everything = soak.everything()
    for process in everything:  # the daemon first: it must not see the others silent
        process.suspend()
    time.sleep(6.0)  # twice what is a hang
    for process in reversed(everything):
        with contextlib.suppress(psutil.Error):
            process.resume()
    code = soak.finish()
    assert "standstill" in soak.told()
    assert [i["what"] for i in soak.incidents() if i["what"] in ("hang", "crash", "exit", "restart")] == []
    assert soak.check("stability.crashes")["verdict"] == "PASS"
    assert code in (0, 3, 4), soak.said


def test_a_clock_that_steps_is_an_incident_and_makes_the_run_invalid(begin: Callable[..., Soak]) -> None:
    stepped = ROOT / "tests" / "stepped"
    path = os.pathsep.join([str(stepped), os.environ.get("PYTHONPATH", str(ROOT))])
    soak = begin(duration=20, PYTHONPATH=path, STEPPED_MARK="mark")
    soak.wait_for_load()
    (soak.run.parent / "mark").touch()
    assert soak.finish() == 4, soak.said
    assert "clock_step" in soak.told()
    assert soak.check("evidence.clock", "")["verdict"] == "INVALID"
    assert "stepped by +3600s" in soak.check("evidence.clock", "")["reason"]
