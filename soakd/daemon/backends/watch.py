"""What is told of a server while it lives: records of its life, samples, and whether it answers."""

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
from soakd.wire.records import Kind, Record

ANSWER_WITHIN_S = 2.0
"""A question that is not answered for so long is one without an answer."""

Sink = Callable[[Record], None]
T = TypeVar("T")


class Voice:
    """Writes the records of one engine's server."""

    def __init__(
        self, engine: str, server: ServerKind, backend: Literal["private", "url"], sink: Sink, first_life: int = 0
    ) -> None:  # fmt: skip
        self.engine = engine
        self.server = server
        self.life = first_life
        self.fault: str | None = None
        """The fault on purpose whose doing it is what is told of the server."""
        self._backend = backend
        self._sink = sink

    def begins(self, about: About, *, pid: int | None, address: str, read_from: Literal["proc", "metrics"]) -> None:
        """Say that a life of the server has begun."""
        told = {"version": about.version, "pid": pid, "address": address}
        body = {"server": self.server, "backend": self._backend, "read_from": read_from}
        self._say("server", body | {key: value for key, value in told.items() if value is not None})

    def incident(self, what: str, detail: str, **more: Any) -> None:
        """Say that something happened to the server."""
        told = {key: value for key, value in {**more, "fault": self.fault}.items() if value is not None}
        self._say("incident", {"what": what, "detail": f"{self.engine}: {detail}", "server": self.server, **told})

    def recovered(self, since_s: float, pid: int | None) -> None:
        """Say that the server answers again, after it did not from `since_s` (CLOCK_MONOTONIC) on."""
        seconds = round(time.monotonic() - since_s, 3)
        self.incident(
            "server_recovered", f"{self.server} answers again after {seconds:g}s", recovery_s=seconds, pid=pid
        )

    async def sample(self, client: Client, process: psutil.Process | None) -> None:
        """Read the server once: from outside where its process is here, and by asking it. What is unknown is absent."""
        started_s = time.perf_counter()
        values: dict[str, float] = {}
        with contextlib.suppress(BackendError):  # whoever watches it notices too
            values |= await answered(client.read())
        if process is not None:
            live = {key: values[key] for key in ("live_bytes",) if key in values}
            try:
                values = proc.read(process) | live
            except ProbeError:
                return  # it is gone
        if values:
            values["probe.server.duration_s"] = round(time.perf_counter() - started_s, 6)
            self._say("sample", {"source": "server", "server": self.server, **values})

    def _say(self, kind: Kind, body: Mapping[str, Any]) -> None:
        self._sink(Record(kind=kind, engine=self.engine, segment=self.life, at=proc.now(), body=body))


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
    """Act at the beginning of each period, for ever; a period that has passed meanwhile is left out."""
    due_s = time.monotonic()
    while True:
        await action()
        due_s += period_s * max(1, int((time.monotonic() - due_s) / period_s))
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))
