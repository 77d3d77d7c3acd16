"""What the daemon asks a server, whatever its kind: whether it answers, who it is, and what it says of itself."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from soakd.errors import BackendError


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """Who answers at an address; what a server does not tell is None."""

    version: str | None = None
    pid: int | None = None
    """As the server sees itself: on another host, or in a namespace, it is a number of theirs."""
    life: str | None = None
    """Another text after each start of the server."""


class Client(Protocol):
    """The daemon's connection to one server. Every question raises BackendError where no answer comes."""

    async def ask(self) -> None:
        """Ask whether it answers."""

    async def about(self) -> About:
        """Ask who it is."""

    async def read(self) -> Mapping[str, float]:
        """Ask for `live_bytes`, and for what `/proc` would tell where it is elsewhere; what is not told is absent."""

    async def close(self) -> None:
        """Let go of the connection."""


def without_password(url: str) -> str:
    """Return an address as it may be written down: without user, password and parameters."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{re.sub('.*@', '', parts.netloc)}{parts.path}"


def no_answer(address: str, error: BaseException) -> BackendError:
    """Build the error for a question without an answer, in one line and without secrets."""
    words = str(getattr(error, "strerror", None) or error) or type(error).__name__
    return BackendError(f"{without_password(address)}: {words.splitlines()[0]}")
