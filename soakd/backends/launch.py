"""Becomes a server that dies with the daemon: `python launch.py DAEMON_PID PROGRAM ARGUMENT...`.

Run as a script, so that no code of ours runs between a fork and an exec in a process that has threads.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Ask for the death signal, make sure that the daemon still is our parent, and become the server."""
    daemon, *command = sys.argv[1:]
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != int(daemon):  # it died before we asked: no signal will come
        os._exit(0)
    try:
        os.execvp(command[0], command)  # noqa: S606 - the command is an argument list built by soakd
    except OSError as error:
        os.write(2, f"{command[0]}: {error.strerror}\n".encode())
        os._exit(127)


if __name__ == "__main__":
    main()
