"""What descriptors hold, read from outside with real processes."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from soakd.procs import descriptors
from soakd.procs.descriptors import Held, kind_of, read_held

TEMPLATE = """
import os, select, socket, sys, tempfile
{}
print("ready", flush=True)
sys.stdin.read()
"""


@contextmanager
def process(code: str) -> Iterator[int]:
    with subprocess.Popen(
        [sys.executable, "-S", "-c", TEMPLATE.format(code)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True,
    ) as child:  # fmt: skip
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        yield child.pid
        child.communicate()


def held_by(code: str) -> Held:
    with process(code) as pid:
        return read_held([pid])


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("socket:[123]", "socket"), ("pipe:[9]", "pipe"), ("/memfd:x (deleted)", "memfd"),
        ("/tmp/x (deleted)", "deleted"),
        ("anon_inode:[eventpoll]", "epoll"), ("anon_inode:[eventfd]", "eventfd"), ("anon_inode:[io_uring]", "io_uring"),
        ("anon_inode:inotify", "anon"), ("/dev/null", "device"), ("/var/log/x", "file"),
        ("/dev/shm/x", "file"), ("/dev/shm/x (deleted)", "deleted"),
    ],
)  # fmt: skip
def test_a_descriptor_is_of_the_kind_that_its_target_says(target: str, kind: str) -> None:
    assert kind_of(target) == kind


def test_the_bytes_of_memfds_and_deleted_files_are_summed_each_file_once() -> None:
    held = held_by(
        "m = os.memfd_create('x'); os.write(m, bytes(300_000)); n = os.dup(m)\n"
        "f = tempfile.TemporaryFile(buffering=0); f.write(bytes(200_000)); os.fsync(f.fileno())"
    )
    assert held.counts["memfd"] == 2
    assert held.counts["deleted"] == 1
    assert 500_000 <= held.unnamed_bytes < 560_000
    assert held.written_bytes == 0


def test_a_file_open_for_writing_is_told_apart_from_one_that_is_only_read() -> None:
    code = "f = tempfile.NamedTemporaryFile({}); f.write(bytes(200_000)); f.flush(); os.fsync(f.fileno())"
    assert held_by(code.format("")).written_bytes >= 200_000
    assert held_by(code.format("") + "; g = open(f.name); os.close(f.fileno())").written_bytes == 0


def test_what_is_unread_in_pipes_and_sockets_is_summed() -> None:
    held = held_by(
        "r, w = os.pipe(); os.write(w, bytes(5000))\n"
        "a, b = socket.socketpair(); a.send(bytes(7000))\n"
        "l = socket.create_server(('127.0.0.1', 0)); c = socket.create_connection(l.getsockname()); d, _ = l.accept()\n"
        "c.send(bytes(9000)); select.select([d], [], [])"
    )
    assert held.queued_bytes is not None
    assert 21_000 <= held.queued_bytes < 60_000
    assert held.counts["socket"] == 5


def test_what_was_read_is_not_held() -> None:
    held = held_by(
        "r, w = os.pipe(); os.write(w, bytes(5000)); os.read(r, 5000)\n"
        "a, b = socket.socketpair(); a.send(bytes(7000)); b.recv(7000)"
    )
    assert held.queued_bytes is not None
    assert held.queued_bytes < 100


def test_reading_leaves_no_descriptor_behind() -> None:
    with process("e = select.epoll(); a, b = socket.socketpair()") as pid:
        before = len(list(Path("/proc/self/fd").iterdir()))
        read_held([pid])
        assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_where_there_are_too_many_queues_to_ask_none_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(descriptors, "MOST_ASKED", 3)
    assert held_by("p = [os.pipe() for _ in range(3)]").queued_bytes is None


def test_where_descriptors_may_not_be_copied_queues_are_unknown_and_not_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(descriptors, "_PIDFD_GETFD", 9999)
    assert held_by("p = os.pipe()").queued_bytes is None


def test_a_process_that_is_gone_holds_nothing() -> None:
    with process("") as pid:
        pass
    assert read_held([pid]) == Held()


def test_what_is_no_socket_any_more_when_it_is_asked_holds_nothing_and_leaves_no_descriptor(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file:
        before = len(list(Path("/proc/self/fd").iterdir()))
        assert descriptors._queued_bytes(file.fileno()) == 0
        assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_queue_that_is_closed_just_then_leaves_the_others_known(monkeypatch: pytest.MonkeyPatch) -> None:
    copied = descriptors._libc.syscall

    class ClosesFirst:
        """Copies the first descriptor as if the process had closed it."""

        asked = 0

        def syscall(self, number: int, process: int, descriptor: int, flags: int) -> int:
            self.asked += 1
            return int(copied(number, process, 9999 if self.asked == 1 else descriptor, flags))

    monkeypatch.setattr(descriptors, "_libc", ClosesFirst())
    held = held_by("r, w = os.pipe(); os.write(w, bytes(5000)); a, b = socket.socketpair(); a.send(bytes(7000))")
    assert held.queued_bytes is not None
    assert held.queued_bytes >= 5000
