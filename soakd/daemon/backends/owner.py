"""Which process of this host answers at an address."""

import os
from urllib.parse import unquote, urlsplit

import psutil

from soakd.errors import ProbeError
from soakd.procs import proc
from soakd.wire.addresses import PORTS

LOCAL = ("localhost", "127.0.0.1", "::1")
FORWARDERS = ("docker-proxy", "rootlessport", "slirp4netns", "conmon")
"""They hold a port for a server in a container, and are not it."""


def local_process(address: str, pid: int | None) -> psutil.Process | None:
    """Return the process behind an address; None if it is on another host or not ours to read.

    Args:
        address: as clients have it.
        pid: as the server reports it, or None; believed only if that process holds the address.
    """
    url = urlsplit(address)
    try:
        if url.scheme == "unix":
            process = psutil.Process(pid) if pid and _holds(psutil.Process(pid), unquote(url.path)) else None
        elif (url.hostname or "localhost") in LOCAL:
            process = _listener(url.port or PORTS[url.scheme])
        else:
            return None
        if process is None or pid not in (None, process.pid) or process.name() in FORWARDERS:
            return None
        proc.read(process)
    except (psutil.Error, OSError, ValueError, ProbeError):
        return None  # another user's, or in a namespace of its own
    return process


def _holds(process: psutil.Process, path: str) -> bool:
    wanted = os.path.realpath(path)
    places = (str(connection.laddr) for connection in process.net_connections("unix"))
    return any(place and os.path.realpath(place) == wanted for place in places)


def _listener(port: int) -> psutil.Process | None:
    for found in psutil.net_connections("tcp"):
        if found.status == psutil.CONN_LISTEN and tuple(found.laddr)[1:] == (port,) and found.pid:
            return psutil.Process(found.pid)
    return None
