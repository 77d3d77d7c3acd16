"""The records of a server: its lives, its samples, and what happens to it."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, TypeVar

import psutil

from soakd.daemon.backends.client import About, Client
from soakd.errors import BackendError, ProbeError
from soakd.procs import proc
from soakd.setup.engine_kinds import ServerKind
from soakd.wire.records import Kind, Record, make_record

ANSWER_WITHIN_S = 2.0
"""A question counts as unanswered after so long."""

Put = Callable[[Record], None]
T = TypeVar("T")


class ServerRecords:
    """Writes the records of one engine's server."""

    def __init__(
        self, engine: str, server: ServerKind, backend: Literal["private", "url"], put: Put, first_life: int = 0
    ) -> None:  # fmt: skip
        self.engine = engine
        self.server = server
        self.life = first_life
        self.fault: str | None = None
        """The fault on purpose that causes what is recorded now; None without one."""
        self._backend = backend
        self._put = put

    def record_begin(
        self, about: About, *, pid: int | None, address: str, read_from: Literal["proc", "metrics"]
    ) -> None:
        """Record that a life of the server has begun."""
        known = {"version": about.version, "pid": pid, "address": address}
        body = {"server": self.server, "backend": self._backend, "read_from": read_from}
        self._record("server", body | {key: value for key, value in known.items() if value is not None})

    def record_incident(self, what: str, detail: str, **more: Any) -> None:
        """Record that something happened to the server."""
        known = {key: value for key, value in {**more, "fault": self.fault}.items() if value is not None}
        self._record("incident", {"what": what, "detail": f"{self.engine}: {detail}", "server": self.server, **known})

    def record_recovery(self, since_s: float, pid: int | None) -> None:
        """Record that the server answers again, after it did not from `since_s` (CLOCK_MONOTONIC) on."""
        seconds = round(time.monotonic() - since_s, 3)
        self.record_incident(
            "server_recovered", f"{self.server} answers again after {seconds:g}s", recovery_s=seconds, pid=pid
        )

    async def sample(self, client: Client, process: psutil.Process | None) -> None:
        """Record one sample: from outside if its process is here, and by asking it. What is unknown is absent."""
        started_s = time.perf_counter()
        values: dict[str, float] = {}
        with contextlib.suppress(BackendError):  # its watch notices that too
            values |= await answered(client.read())
        if process is not None:
            live = {key: values[key] for key in ("live_bytes",) if key in values}
            try:
                values = proc.read(process) | live
            except ProbeError:
                return  # it is gone
        if values:
            values["probe.server.duration_s"] = round(time.perf_counter() - started_s, 6)
            self._record("sample", {"source": "server", "server": self.server, **values})

    def _record(self, kind: Kind, body: Mapping[str, Any]) -> None:
        self._put(make_record(kind, engine=self.engine, segment=self.life, at=proc.now(), body=body))


async def answered(question: Awaitable[T]) -> T:
    """Wait for an answer, for a limited time.

    Raises:
        BackendError: there is none.
    """
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            return await question
    except TimeoutError as error:
        raise BackendError(f"no answer within {ANSWER_WITHIN_S:g}s") from error


async def on_grid(period_s: float, action: Callable[[], Awaitable[None]]) -> None:
    """Act at the beginning of each period, for ever; leave out periods that have passed meanwhile."""
    due_s = time.monotonic()
    while True:
        await action()
        due_s += period_s * max(1, int((time.monotonic() - due_s) / period_s))
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))
