"""Pressure on a host is one incident, and a run ends before its disk is full.

Clocks, steal and pressure are faked here; the full disk is a real one.
"""

import asyncio
import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from soakd.daemon import host
from soakd.daemon.host import HostReader, HostWatch, budget_bytes
from soakd.daemon.workers.supervisor import Supervisor
from soakd.setup import settings
from soakd.wire.records import INCIDENTS, Record, Stamp
from tests.conftest import InVirtualTime
from tests.recorded import plan_of

AT = Stamp(1e9, 100.0, 100.0)


def looks(watch: HostWatch, *readings: dict[str, float]) -> list[list[str]]:
    return [[what for what, _ in watch.look(reading, AT)] for reading in readings]


@pytest.mark.parametrize("name", list(host.BOUNDS))
def test_a_pressure_that_lasts_is_one_incident_until_it_has_ended(name: str) -> None:
    what, bound, _ = host.BOUNDS[name]
    above, below = {name: bound * 1.1}, {name: bound * 0.9}
    told = looks(
        HostWatch(None), above, above, below, above, above, above, above, above, below, {}, above, above, above
    )
    assert told == [[], [], [], [], [], [what], [], [], [], [], [], [], [what]]
    assert what in INCIDENTS, "a closed kind: a label of the metrics"


def test_what_the_kernel_does_not_tell_is_no_incident() -> None:
    assert looks(HostWatch(None), *[{}] * 5) == [[]] * 5


def test_each_kill_for_want_of_memory_is_an_incident() -> None:
    reading = [{"host_oom_kills_total": float(n)} for n in (7, 7, 9, 9, 10)]
    assert looks(HostWatch(None), *reading) == [[], [], ["host_oom"], [], ["host_oom"]]


@pytest.mark.parametrize(
    ("then", "what"),
    [
        (Stamp(1e9 + 5, 105.0, 105.0), []),
        (Stamp(1e9 + 65, 105.0, 105.0), ["clock_step"]),
        (Stamp(1e9 - 3600, 105.0, 105.0), ["clock_step"]),
        (Stamp(1e9 + 905, 1005.0, 105.0), ["sleep"]),
    ],
)
def test_steps_of_the_clock_and_sleep_are_two_kinds_of_incidents(then: Stamp, what: list[str]) -> None:
    watch = HostWatch(None)
    list(watch.look({}, AT))
    assert [kind for kind, _ in watch.look({}, then)] == what
    assert [kind for kind, _ in watch.look({}, then)] == []


def test_a_run_must_end_before_its_disk_is_full_or_its_budget_is_spent() -> None:
    watch = HostWatch(1e9)
    assert watch.must_end({}) is None
    assert watch.must_end({"disk_free_bytes": 21e6, "run_bytes": 0.9e9}) is None
    full, spent = (watch.must_end(r) for r in ({"disk_free_bytes": 19e6}, {"run_bytes": 1.1e9}))
    assert full is not None
    assert spent is not None
    assert (full[0], spent[0]) == ("disk_full", "disk_budget")
    assert "19 MB are left" in full[1]
    assert "1100 MB" in spent[1]
    assert HostWatch(None).must_end({"run_bytes": 1e15}) is None


@pytest.mark.parametrize(
    ("given", "days", "engines", "budget"),
    [(None, 1, 8, 200e6), (None, 30, 8, 6e9), (None, 0.01, 1, 200e6), (5e6, 30, 8, 5e6), (0.0, 30, 8, None)],
)
def test_the_budget_follows_length_and_engines_where_none_is_given(
    given: float | None, days: float, engines: int, budget: float | None
) -> None:
    assert budget_bytes(given, days * 86400, engines) == budget


@pytest.mark.parametrize(("text", "bytes_"), [("", None), ('disk_budget = "1GB"', 1e9), ('disk_budget = "off"', 0.0)])
def test_the_budget_is_read_from_the_configuration(text: str, bytes_: float | None) -> None:
    run: settings.Schedule = plan_of(run=text).config.run
    assert run.disk_budget_bytes == bytes_


def test_this_host_is_read_without_an_error(tmp_path: Path) -> None:
    (tmp_path / "run.db").write_bytes(b"x" * 100_000)
    reader = HostReader(tmp_path)
    reader.read()
    again = reader.read()
    assert again["run_bytes"] >= 100_000
    assert again["disk_free_bytes"] > 0
    assert 0 < again["daemon_fds_ratio"] < 1
    assert all(0 <= value <= 1 for name, value in again.items() if name.endswith("_ratio"))


def test_pressure_and_steal_are_shares_of_the_time_between_two_readings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([100.0, 110.0])
    monkeypatch.setattr("soakd.daemon.host.time.monotonic", lambda: next(clock))
    monkeypatch.setattr(HostReader, "_ours", lambda self: {"ours": 0.0})
    ticks = os.sysconf("SC_CLK_TCK")
    (tmp_path / "pressure").mkdir()

    def write(stalled_us: int, busy_s: int, steal_s: int, idle_s: int) -> None:
        text = f"some avg10=0.00 avg60=0.00 avg300=0.00 total={stalled_us}\nfull avg10=0 total=0\n"
        (tmp_path / "pressure" / "memory").write_text(text, encoding="ascii")
        fields = [busy_s, 0, 0, idle_s, 0, 0, 0, steal_s, 0, 0]
        (tmp_path / "stat").write_text(f"cpu  {' '.join(str(f * ticks) for f in fields)}\ncpu0 1\n", encoding="ascii")

    reader = HostReader(None, tmp_path, tmp_path / "no-shm")
    write(1_000_000, 5, 1, 100)
    reader.read()
    write(3_000_000, 10, 3, 113)
    found = reader.read()
    assert found.pop("daemon_fds_ratio") < 1
    assert found == {"host_memory_pressure_ratio": 0.2, "host_steal_ratio": 0.1, "host_others_ratio": 0.25}


def test_a_host_that_cannot_be_read_for_want_of_descriptors_has_none_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    reader = HostReader(tmp_path)
    monkeypatch.setattr(reader._me, "num_fds", refused)
    monkeypatch.setattr(reader._me, "children", refused)
    found = reader.read()
    assert found["daemon_fds_ratio"] == 1.0
    assert "host_others_ratio" not in found


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)], check=False)
    if mounted.returncode:
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_run_on_a_real_disk_that_fills_up_is_ended_once(
    small_disk: Path, in_virtual_time: InVirtualTime[Any]
) -> None:
    records, ended_for = list[Record](), list[str]()

    async def watch() -> None:
        supervisor = Supervisor(
            plan_of(), records.append, site_packages=(), imports=small_disk / ".imports", ends_for=ended_for.append
        )
        supervisor.started.set()
        task = asyncio.create_task(supervisor._watch_host())
        await asyncio.sleep(60)
        assert not supervisor.stop_asked.is_set()
        (small_disk / "filler").write_bytes(b"x" * 6_000_000)
        await asyncio.sleep(60)
        task.cancel()
        assert supervisor.stop_asked.is_set()

    in_virtual_time(watch())
    assert ended_for == ["disk_full"]
    assert [r.body["what"] for r in records if r.body["what"].startswith("disk")] == ["disk_full"]


def test_new_files_in_shared_memory_are_summed_and_those_from_before_the_run_are_not(tmp_path: Path) -> None:
    shm = tmp_path / "shm"
    shm.mkdir()
    (shm / "old").write_bytes(b"x" * 400_000)
    reader = HostReader(None, shm=shm)
    reader._begun_s = (shm / "old").stat().st_ctime + 1e-6
    assert "shm_bytes" not in reader.read()
    (shm / "psm_1").write_bytes(b"x" * 300_000)
    os.sync()
    assert 300_000 <= reader.read()["shm_bytes"] < 400_000


def test_shared_memory_that_is_left_is_an_incident_each_time_that_it_has_doubled() -> None:
    watch = HostWatch(None)
    told = [
        [kind for kind, _ in watch.look({"shm_bytes": size * 1e6}, AT)] for size in (0, 31, 33, 60, 67, 100, 130, 135)
    ]
    assert told == [[], [], ["shm_left"], [], ["shm_left"], [], [], ["shm_left"]]
