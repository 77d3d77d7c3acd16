"""The host names that requests may use: a defence against DNS rebinding.

A page in a browser may point its own name at another address, such as 127.0.0.1, and read what only this host may read.
The Host header still has that page's name, which shows that the request was not meant for this run.
"""

import os
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

REFUSAL = "this host name is not allowed: use localhost, or add the name to http.hosts"


class Hosts:
    """The names and addresses that requests may use.

    Args:
        listening: the listening address.
        names: further names, from `http.hosts`.
    """

    def __init__(self, listening: str, names: Iterable[str] = ()) -> None:
        address = _address(listening)
        self._is_local = address.is_loopback if address is not None else listening.lower() == "localhost"
        own = () if self._is_local else (listening, os.uname().nodename)
        self._names = {_plain(name) for name in ("localhost", *own, *names)}

    def allow(self, headers: Sequence[str]) -> bool:
        """Return whether a request with these Host headers is for this run; browsers send one, old tools none."""
        return all(self._allows(_without_port(header)) for header in headers)

    def _allows(self, name: str) -> bool:
        """Accept an address that can be listened on: no name server is involved."""
        if name in self._names:
            return True
        address = _address(name)
        return address is not None and (address.is_loopback or not self._is_local)


def _without_port(header: str) -> str:
    """Return the name in a Host header; an IPv6 address is in brackets."""
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
