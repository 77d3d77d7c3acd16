"""What the service manager is told, over a socket of its own kind."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from soakd.daemon import journald
from soakd.daemon.sdnotify import Notifier, WatchdogFeed
from soakd.daemon.service import host_goes_down
from soakd.errors import PreflightError
from soakd.systemd import UNITS, read, units

PACKAGE = Path("/srv/soakd")


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    address = str(tmp_path / "notify") if request.param == "path" else f"@soakd-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("\0" + address[1:] if address.startswith("@") else address)
        listening.setblocking(False)
        yield listening, address


def heard(listening: socket.socket) -> list[str]:
    found = []
    while True:
        try:
            found.append(listening.recv(4096).decode())
        except BlockingIOError:
            return found


def test_what_is_said_arrives_over_both_kinds_of_socket(manager: tuple[socket.socket, str]) -> None:
    listening, address = manager
    notifier = Notifier({"NOTIFY_SOCKET": address})
    notifier.ready("load,\n1h of 24h")
    notifier.status("load, 2h of 24h")
    notifier.status("load, 2h of 24h")  # not said twice
    notifier.stopping("sealing")
    assert heard(listening) == [
        "READY=1\nSTATUS=load, 1h of 24h",
        "STATUS=load, 2h of 24h",
        "STOPPING=1\nSTATUS=sealing\nEXTEND_TIMEOUT_USEC=90000000",
    ]


def test_without_a_manager_nothing_is_said_and_nothing_fails() -> None:
    notifier = Notifier({})
    notifier.ready("x")
    assert (notifier.enabled, notifier.watchdog_s) == (False, None)
    Notifier({"NOTIFY_SOCKET": "/nowhere/at/all"}).ready("x")


@pytest.mark.parametrize(
    ("more", "period_s"),
    [({}, 8.0), ({"WATCHDOG_PID": "41"}, 8.0), ({"WATCHDOG_PID": "42"}, None), ({"WATCHDOG_USEC": "x"}, None)],
)
def test_the_watchdog_of_another_process_is_not_ours(more: dict[str, str], period_s: float | None) -> None:
    environ = {"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "8000000"} | more
    assert Notifier(environ, pid=41).watchdog_s == period_s


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_the_watchdog_is_fed_by_rounds_while_the_journal_keeps_up(manager: tuple[socket.socket, str]) -> None:
    listening, address = manager
    clock, written = Clock(), [0, 0]
    notifier = Notifier({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "8000000"})
    progress = WatchdogFeed(notifier, lambda: (written[0], written[1]), clock)

    def fed_after(seconds: float) -> int:
        clock.now_s += seconds
        progress.round()
        return len(heard(listening))

    assert fed_after(0.0) == 1  # nothing was given to the journal: nothing waits
    assert fed_after(1.0) == 0  # four times a period are enough
    written[:] = [0, 5]
    assert fed_after(2.0) == 0  # five records wait, and none was committed since
    assert fed_after(60.0) == 0
    written[:] = [3, 9]
    assert fed_after(0.1) == 1  # slow, and it goes on
    assert fed_after(60.0) == 0
    written[:] = [9, 9]
    assert fed_after(0.1) == 1


def test_a_shutdown_is_recognised_by_its_mark(tmp_path: Path) -> None:
    environ = {"SOAKD_SHUTDOWN_MARK": str(tmp_path / "mark")}
    assert not host_goes_down({})
    assert not host_goes_down(environ)
    (tmp_path / "mark").touch()
    assert host_goes_down(environ)


def test_an_entry_of_the_journal_has_a_field_for_everything_and_a_sentence() -> None:
    event = {
        "event": "incident", "level": "warning", "what": "crash", "engine": "cache", "detail": "killed\nby SIGKILL",
        "stderr": ["a", "b"], "none": None,
    }  # fmt: skip
    entry = journald.encode(event)
    assert b"PRIORITY=4\n" in entry
    assert b"SOAKD_ENGINE=cache\n" in entry
    assert b'SOAKD_STDERR=["a", "b"]\n' in entry
    assert b"SOAKD_DETAIL\n" + (17).to_bytes(8, "little") + b"killed\nby SIGKILL\n" in entry
    assert b"NONE" not in entry
    assert journald.message(event) == "incident: crash (cache): killed\nby SIGKILL"


def test_stderr_is_the_journal_only_where_its_inode_says_so(tmp_path: Path) -> None:
    with open(tmp_path / "file", "wb") as file:
        found = os.fstat(file.fileno())
        assert journald.is_stderr({"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}, file.fileno())
        assert not journald.is_stderr({"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino + 1}"}, file.fileno())
        assert not journald.is_stderr({}, file.fileno())


def test_what_journald_does_not_take_is_said_elsewhere(tmp_path: Path) -> None:
    assert not journald.Journald(str(tmp_path / "nobody")).send({"event": "x"})


def test_units_start_the_environment_in_use_and_homes_are_opened_only_where_they_are_needed() -> None:
    service = units(Path("/srv/a%b"), Path("/usr"), PACKAGE)[UNITS / "soakd@.service"]
    assert "ExecStart=/srv/a%%b/bin/soakd run " in service
    homes = UNITS / "soakd@.service.d" / "home.conf"
    assert homes in units(Path("/run/user/7/venv"), Path("/usr"), PACKAGE)
    assert homes not in units(Path("/srv/venv"), Path("/usr"), PACKAGE)
    for refused in ("/tmp/venv", "/srv/my venv"):
        with pytest.raises(PreflightError):
            units(Path(refused), Path("/usr"), PACKAGE)


@pytest.mark.parametrize("name", ["soakd@.service", "soakd-shutdown@.service", "soakd-release.timer"])
def test_every_line_of_a_unit_has_its_comment(name: str) -> None:
    """A setting stands under a comment, or under a setting that stands under one."""
    explained = False
    for line in read(name).splitlines():
        if line.startswith("#"):
            explained = True
        elif not line or line.startswith("["):
            explained = False
        else:
            assert explained, line
