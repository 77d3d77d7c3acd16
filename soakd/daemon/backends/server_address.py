"""Where a private server answers: one address for all its lives, short enough for a socket."""

import contextlib
import os
import shutil
import socket
from pathlib import Path

from soakd.errors import BackendError

LONGEST_SOCKET_BYTES = 107
SOCKET = "redis.sock"


class ServerPlace:
    """A private folder with a Unix socket, or with a loopback port that is held from the first life to the last.

    A path that is too long for a socket is reached through /proc and a descriptor of the daemon's: such a path ends
    with the daemon; a link in /tmp would not.
    """

    def __init__(self, folder: Path, *, port: bool) -> None:
        """Make the folder.

        Raises:
            BackendError: it cannot be made, or no port is free.
        """
        self.folder = folder = folder.absolute()  # the server works in it, so that relative paths differ there
        self.port = 0
        self._folder_fd = -1
        self._held: socket.socket | None = None
        try:
            folder.mkdir(parents=True, mode=0o700)
            self.socket = "" if port else self._short(str(folder))
            if port:
                self._held = socket.socket()
                # A bound socket that does not listen keeps others away, and lets a server in that reuses addresses.
                self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                self._held.bind(("127.0.0.1", 0))
                self.port = self._held.getsockname()[1]
        except OSError as error:
            self.remove()
            raise BackendError(f"{folder}: no place for a server: {error.strerror}") from error

    @property
    def address(self) -> str:
        """What clients connect to."""
        return f"http://127.0.0.1:{self.port}" if self.port else f"unix://{self.socket}"

    def remove(self) -> None:
        """Release the port and remove the folder, with the one above it if that is empty then."""
        if self._held is not None:
            self._held.close()
            self._held = None
        if self._folder_fd >= 0:
            os.close(self._folder_fd)
            self._folder_fd = -1
        shutil.rmtree(self.folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.folder.parent.rmdir()

    def _short(self, folder: str) -> str:
        path = f"{folder}/{SOCKET}"
        if len(os.fsencode(path)) <= LONGEST_SOCKET_BYTES:
            return path
        self._folder_fd = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        return f"/proc/{os.getpid()}/fd/{self._folder_fd}/{SOCKET}"
