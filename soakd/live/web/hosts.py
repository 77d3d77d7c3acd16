"""Under which names a run may be asked for: not under one that somebody else's name server has made up.

A page that a browser has open may give its own name another address, 127.0.0.1 too, and read there what only this host
may. The Host header still has that page's name, and tells it from a request that was meant.
"""

import os
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

REFUSAL = "this run is not asked for under that name: use localhost, or name it in http.hosts"


class Hosts:
    """The names and addresses that a request may be for.

    Args:
        listening: the address that is listened on.
        names: more of them, as `http.hosts` has them.
    """

    def __init__(self, listening: str, names: Iterable[str] = ()) -> None:
        address = _address(listening)
        self._is_local = address.is_loopback if address is not None else listening.lower() == "localhost"
        own = () if self._is_local else (listening, os.uname().nodename)
        self._names = {_plain(name) for name in ("localhost", *own, *names)}

    def allow(self, headers: Sequence[str]) -> bool:
        """Return whether a request with these Host headers is meant for this run; browsers send one, old tools none."""
        return all(self._allows(_without_port(header)) for header in headers)

    def _allows(self, name: str) -> bool:
        """Take an address where one can be listened on: no name server stands behind it."""
        if name in self._names:
            return True
        address = _address(name)
        return address is not None and (address.is_loopback or not self._is_local)


def _without_port(header: str) -> str:
    """Return the name in a Host header; an IPv6 address stands in brackets."""
    text = header.strip()
    name = text[1:].partition("]")[0] if text.startswith("[") else text.partition(":")[0]
    return _plain(name)


def _plain(name: str) -> str:
    return name.lower().removesuffix(".")


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None
