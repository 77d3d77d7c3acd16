"""The guardian: starts processes for the daemon; nothing that they start outlives them or the daemon.

A script of the standard library, run as `python -I -S keeper.py FD` in a session of its own. FD is a socket; each
message on it has file descriptors: what to start (JSON), a socket for its life, its output, and what it inherits.
For each the guardian forks a keeper, and the keeper the process. Both are subreapers: what a process leaves behind,
even in a session of its own, becomes the keeper's child and cannot get away. A keeper kills everything below it when
its process has ended, at an order, and when its socket closes, which the kernel does however the daemon ends.

The process stays a zombie until the daemon shuts the socket, so that no other process gets its pid before.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import select
import signal
import socket
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing itself would cost a megabyte
    from typing import Any

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
MOST_FDS = 8
FIRST_OUT_OF_THE_WAY = 100
GRACE_S = 0.5
"""What a process leaves behind may end by itself within this time; then it is not reported."""
KILL_WITHIN_S = 10.0
"""The longest wait for killed processes: one in uninterruptible sleep does not die before it wakes."""
MOST_NAMES = 20
UNTOUCHED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals for the daemon, which ends in order and decides what becomes of the processes."""
PYTHON_IGNORES = (signal.SIGPIPE, signal.SIGXFSZ)


def main() -> None:
    """Serve until the daemon is gone, and the last keeper too."""
    requests = socket.socket(fileno=int(sys.argv[1]))
    for number in UNTOUCHED:
        signal.signal(number, signal.SIG_IGN)
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    wake = _wake_on_children()
    keepers: set[int] = set()
    served: list[Any] = [requests, wake]
    while keepers or requests in served:
        ready = select.select(served, [], [])[0]
        if wake in ready:
            os.read(wake, 4096)
            keepers -= _reap()
            _kill_below(os.getpid(), but=keepers)  # of a keeper that was killed
        if requests in ready and not _take(requests, keepers):
            served.remove(requests)


def _take(requests: socket.socket, keepers: set[int]) -> bool:
    """Fork a keeper for one request; return False if there will be no more."""
    try:
        _, fds, _, _ = socket.recv_fds(requests, 1, MOST_FDS)
    except ConnectionError:
        return False
    if not fds:
        return False
    for fd in fds:
        os.set_inheritable(fd, False)  # recv_fds() takes flags, and forgets them
    pid = os.fork()
    if pid == 0:
        requests.close()
        try:
            _keep(*fds)
        finally:
            os._exit(0)
    keepers.add(pid)
    for fd in fds:
        os.close(fd)
    return True


def _keep(spec_fd: int, life_fd: int, output: int, *inherited: int) -> None:
    """Start one process, wait for its end or the daemon's, and leave nothing of it."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    wake, life = _wake_on_children(), socket.socket(fileno=life_fd)
    pid, error = _start(spec_fd, output, inherited)
    for fd in (spec_fd, output, *inherited):
        os.close(fd)
    if error:
        life.send(json.dumps({"error": error}).encode())
        return
    life.send(json.dumps({"pid": pid}).encode())
    has_ended = False
    waited_for: list[Any] = [life, wake]
    while True:
        ready = select.select(waited_for, [], [])[0]
        if wake in ready:
            os.read(wake, 4096)
            status = _status(pid)
            if status is not None and not has_ended:
                has_ended, left = True, _settle(pid)
                _send(life, {"status": status, "left": left})
        if life in ready:
            order = _read_order(life)
            _kill_below(os.getpid(), but={pid} if has_ended else set(), zombie=pid)
            if not order:
                os.waitpid(pid, 0)
                return


def _start(spec_fd: int, output: int, inherited: tuple[int, ...]) -> tuple[int, int]:
    """Return the process's pid, and the error if it could not be started, else 0."""
    with os.fdopen(os.dup(spec_fd), "rb") as file:
        file.seek(0)
        spec = json.load(file)
    read_end, write_end = os.pipe()
    keeper, pid = os.getpid(), os.fork()
    if pid == 0:
        try:
            write_end = _above(write_end)
            _become(spec, keeper, output, inherited)
        except OSError as error:
            os.write(write_end, str(error.errno or errno.EIO).encode())
        finally:
            os._exit(127)
    os.close(write_end)
    error_text = os.read(read_end, 16)
    os.close(read_end)
    if error_text:
        os.waitpid(pid, 0)
    return pid, int(error_text or 0)


def _become(spec: dict[str, Any], keeper: int, output: int, inherited: tuple[int, ...]) -> None:
    os.setsid()
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != keeper:  # it died before we asked: no signal will come
        os._exit(127)
    for number in (*UNTOUCHED, *PYTHON_IGNORES, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    os.chdir(spec["folder"])
    above = [_above(fd) for fd in (output, *inherited)]
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for target, fd in zip((1, *range(3, 3 + len(inherited))), above):  # noqa: B905 - of one length
        os.dup2(fd, target)
    os.dup2(1, 2)
    os.execvpe(spec["command"][0], spec["command"], spec["environment"])  # noqa: S606 - a list built by soakd


def _above(fd: int) -> int:
    """Return a copy of a file descriptor above those that the process gets."""
    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, FIRST_OUT_OF_THE_WAY)


def _settle(pid: int) -> list[str]:
    """Wait a moment for the processes that are left behind, then kill them; return the names of the killed."""
    until_s = time.monotonic() + GRACE_S
    while (left := _below(os.getpid(), {pid})) and time.monotonic() < until_s:
        _reap(but=pid)
        time.sleep(0.02)
    _kill_below(os.getpid(), but={pid})
    return [name for _, name in left[:MOST_NAMES]]


def _kill_below(top: int, *, but: set[int], zombie: int = 0) -> None:
    """Kill every process below `top` until none is left, except `but` and those below; do not reap `zombie`."""
    until_s = time.monotonic() + KILL_WITHIN_S
    pause_s = 0.002
    while (found := _below(top, but)) and time.monotonic() < until_s:
        for pid, _ in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(pause_s)
        pause_s = min(0.1, pause_s * 2)
        for pid in {pid for pid, _ in found} - {zombie}:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)


def _below(top: int, but: set[int]) -> list[tuple[int, str]]:
    """List the living processes below `top`: pid and name."""
    children: dict[int, list[tuple[int, str, bool]]] = {}
    for entry in os.listdir("/proc"):  # noqa: PTH208 - pathlib would cost megabytes in every keeper
        if entry.isdecimal():
            with contextlib.suppress(OSError, ValueError), open(f"/proc/{entry}/stat", "rb") as file:
                head, _, rest = file.read(4096).rpartition(b")")
                state, parent = rest.split()[:2]
                name = head.partition(b"(")[2].decode("utf-8", "replace")
                children.setdefault(int(parent), []).append((int(entry), name, state in b"ZX"))
    found, parents = [], [top]
    while parents:
        for pid, name, dead in children.get(parents.pop(), ()):
            if pid not in but:
                parents.append(pid)
                if not dead:
                    found.append((pid, name))
    return found


def _status(pid: int) -> int | None:
    """Return how a process ended, and leave it a zombie; None while it lives. Reap other children that ended."""
    ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    if ended is None:
        _reap(but=pid)
        return None
    return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status


def _reap(but: int = 0) -> set[int]:
    """Reap children that have ended, up to `but`; return their pids."""
    reaped: set[int] = set()
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) and ended.si_pid != but:
            os.waitpid(ended.si_pid, 0)
            reaped.add(ended.si_pid)
    return reaped


def _send(life: socket.socket, message: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):  # the daemon is gone, which the next read shows
        life.send(json.dumps(message).encode())


def _read_order(life: socket.socket) -> bytes:
    try:
        return life.recv(64)
    except ConnectionError:
        return b""


def _wake_on_children() -> int:
    """Return a pipe that is readable when a child has ended."""
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, False)
    os.set_blocking(write_end, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    old = signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    if old >= 0:  # the guardian's own, after a fork
        os.close(old)
    return read_end


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    main()
