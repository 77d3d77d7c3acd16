"""What the daemon asks a server, whatever its kind: whether it answers, who it is, and what it says of itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from soakd.errors import BackendError
from soakd.wire.addresses import without_credentials


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


def no_answer(address: str, error: BaseException) -> BackendError:
    """Build the error for a question without an answer, in one line and without secrets."""
    words = str(getattr(error, "strerror", None) or error) or type(error).__name__
    return BackendError(f"{without_credentials(address)}: {words.splitlines()[0]}")
