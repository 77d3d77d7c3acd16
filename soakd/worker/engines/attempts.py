"""Requests to a server: retried where that may help, with every failed attempt counted."""

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from soakd.errors import BackendError

T = TypeVar("T")
Errors = tuple[type[Exception], ...]

SHORTEST_WAIT_S = 0.02
LONGEST_WAIT_S = 0.5


class Attempts:
    """Performs requests that may be repeated: decisions, and cache commands that name what they set.

    The client library's own retries are off, so that every failed attempt is counted.

    Args:
        server: its address, without credentials, for messages.
        retries: attempts after a failed one.
        lost: the client's exceptions for a server that is not there, or no longer.
        timed_out: its exceptions, or their causes, for an attempt that took too long.

    Attributes:
        retries_total: attempts that followed a failed one.
        timeouts_total: attempts that took too long.
        connection_errors_total: attempts without a connection, or whose connection was lost.
    """

    def __init__(self, server: str, retries: int, *, lost: Errors, timed_out: Errors) -> None:
        self.retries_total = 0
        self.timeouts_total = 0
        self.connection_errors_total = 0
        self._server = server
        self._retries = retries
        self._failures = (*timed_out, *lost)
        self._timed_out = timed_out

    async def __call__(self, request: Callable[..., Awaitable[T]], *args: object) -> T:
        """Perform a request.

        Raises:
            BackendError: the last attempt failed too.
        """
        for failed in itertools.count(1):
            try:
                return await request(*args)
            except self._failures as error:
                if isinstance(error, self._timed_out) or isinstance(error.__cause__, self._timed_out):
                    self.timeouts_total += 1
                    if failed > self._retries:
                        raise BackendError(f"{self._server}: no answer in time") from error
                else:
                    self.connection_errors_total += 1
                    if failed > self._retries:
                        raise BackendError(f"{self._server}: {reason_of(error)}") from error
            self.retries_total += 1
            await asyncio.sleep(random.random() * min(LONGEST_WAIT_S, SHORTEST_WAIT_S * 2**failed))
        raise AssertionError("unreachable")

    def counters(self) -> Mapping[str, float]:
        """Return the totals."""
        return {
            "retries_total": self.retries_total,
            "timeouts_total": self.timeouts_total,
            "connection_errors_total": self.connection_errors_total,
        }


def reason_of(error: BaseException) -> str:
    """Describe an exception in one short line; one without a message by its type."""
    return " ".join(str(error).split())[:200] or type(error).__name__
