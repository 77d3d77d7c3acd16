"""What the daemon asks a server of any kind: whether it answers, who it is, and its own readings."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from soakd.errors import BackendError
from soakd.wire.addresses import without_credentials


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """Who answers at an address; what a server does not report is None."""

    version: str | None = None
    pid: int | None = None
    """As the server reports it: on another host, or in a pid namespace, the number is not one of this host."""
    life: str | None = None
    """Identifies the start of the server: another text after each start."""


class Client(Protocol):
    """The daemon's connection to one server. Every question raises BackendError if no answer comes."""

    async def ask(self) -> None:
        """Ask whether it answers."""

    async def about(self) -> About:
        """Ask who it is."""

    async def read(self) -> Mapping[str, float]:
        """Ask for `live_bytes`, and for what `/proc` shows of a local server; what it does not report is absent."""

    async def close(self) -> None:
        """Let go of the connection."""


def no_answer(address: str, error: BaseException) -> BackendError:
    """Build the error for a question without an answer, in one line and without secrets."""
    words = str(getattr(error, "strerror", None) or error) or type(error).__name__
    return BackendError(f"{without_credentials(address)}: {words.splitlines()[0]}")
