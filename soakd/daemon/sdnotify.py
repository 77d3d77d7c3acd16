"""Messages to systemd: READY, STATUS, the watchdog, STOPPING, more time (sd_notify(3)).

The watchdog is fed by work that is done, never by a timer: a round of the supervisor has passed, and the journal has
committed what it was given. A loop or a writer that hangs does not feed it.
"""

import contextlib
import os
import socket
import time
from collections.abc import Callable, Mapping

LONGEST_STATUS = 200
FEEDS_A_PERIOD = 4
"""The watchdog is fed so many times a period, at most."""
MORE_TIME_S = 90.0
"""Asked for in one message while the engines start, and while the verdict is sealed."""


class Notifier:
    """Sends messages to the service manager; does nothing without one.

    Args:
        environ: NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, as systemd sets them.
        pid: ours; the watchdog of another process is left alone.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ, pid: int | None = None) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self.watchdog_s = _watchdog_s(environ, os.getpid() if pid is None else pid) if self.enabled else None
        """Seconds within which the watchdog must be fed; None without one."""
        self._status = ""

    @property
    def enabled(self) -> bool:
        """Whether there is a service manager."""
        return bool(self._address)

    def ready(self, status: str) -> None:
        """Send that the service is ready."""
        self._send("READY=1", _status_line(status))

    def status(self, status: str) -> None:
        """Send the status, if it is another one than before."""
        if status != self._status:
            self._status = status
            self._send(_status_line(status))

    def stopping(self, status: str) -> None:
        """Send that the service ends."""
        self._send("STOPPING=1", _status_line(status), _more_time())

    def more_time(self) -> None:
        """Ask for time to start, or to stop."""
        self._send(_more_time())

    def feed(self) -> None:
        """Feed the watchdog."""
        self._send("WATCHDOG=1")

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        with (
            contextlib.suppress(OSError),  # a manager that does not listen must not end a soak
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out,
        ):
            out.setblocking(False)
            out.sendto("\n".join(lines).encode(), self._address)


class WatchdogFeed:
    """Feeds the watchdog from progress: a round of the supervisor, with nothing given to the journal left waiting.

    Args:
        notifier: whose watchdog it is.
        written: returns how many records the journal has committed or given up, and how many it was given.
        now: CLOCK_MONOTONIC, seconds.
    """

    def __init__(
        self, notifier: Notifier, written: Callable[[], tuple[int, int]], now: Callable[[], float] = time.monotonic
    ) -> None:
        self._notifier = notifier
        self._written = written
        self._now = now
        self._committed = -1
        self._fed_s = float("-inf")

    def round(self) -> None:
        """Feed the watchdog if it is time, and the journal keeps up: the work loop has come round."""
        watchdog_s = self._notifier.watchdog_s
        if watchdog_s is None or self._now() < self._fed_s + watchdog_s / FEEDS_A_PERIOD:
            return
        committed, given = self._written()
        if committed > self._committed or committed >= given:
            self._committed, self._fed_s = committed, self._now()
            self._notifier.feed()


def _watchdog_s(environ: Mapping[str, str], pid: int) -> float | None:
    """Return the watchdog's period; None without one, or if it is another process's."""
    try:
        period_s = int(environ.get("WATCHDOG_USEC", "0")) / 1e6
        whose = int(environ.get("WATCHDOG_PID", pid))
    except ValueError:
        return None
    return period_s if period_s > 0 and whose == pid else None


def _status_line(status: str) -> str:
    line = " ".join(status.split())
    return f"STATUS={line[:LONGEST_STATUS]}"


def _more_time() -> str:
    return f"EXTEND_TIMEOUT_USEC={int(MORE_TIME_S * 1e6)}"
