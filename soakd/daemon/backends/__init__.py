"""The servers that engines talk to: private ones are started, watched and stopped here, others watched.

A private server's address is known before it starts and stays the same over its restarts.
"""

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from soakd.daemon.backends import opa, programs, redis
from soakd.daemon.backends.client import Client
from soakd.daemon.backends.existing import ExistingServer
from soakd.daemon.backends.opa import OpaQuestions
from soakd.daemon.backends.private import PrivateServer
from soakd.daemon.backends.redis import RedisQuestions
from soakd.daemon.backends.server_address import ServerPlace
from soakd.daemon.backends.server_records import Put, ServerRecords
from soakd.setup.engine_kinds import KINDS, ServerKind
from soakd.setup.plan import EnginePlan, Plan
from soakd.wire.addresses import without_credentials


def server_of(engine: EnginePlan) -> ServerKind | None:
    """Return the kind of server that an engine talks to."""
    return KINDS[engine.config.kind].server


class Backends:
    """All servers of a plan.

    Args:
        plan: its engines.
        put: takes the records.
        folder: where private servers have their folders; made if one is needed, removed at the end.
        first_lives: engine -> the number of its server's next life, of a run that is resumed.
        sampling: set when servers are to be sampled.

    Raises:
        BackendError: a private server's folder cannot be made, or its program is not there.
    """

    def __init__(
        self, plan: Plan, put: Put, folder: Path, *, first_lives: Mapping[str, int] = MappingProxyType({}),
        sampling: asyncio.Event | None = None,
    ) -> None:  # fmt: skip
        self.stopping = asyncio.Event()
        self.sampling = sampling or asyncio.Event()
        self.servers: dict[str, PrivateServer | ExistingServer] = {}
        self._plan = plan
        self._first_lives = first_lives
        self._put = put
        try:
            for engine in plan.engines:
                if (kind := server_of(engine)) is not None:
                    self.servers[engine.config.name] = self._make(engine, kind, folder)
        except BaseException:
            self.abandon()
            raise

    @property
    def addresses(self) -> Mapping[str, str]:
        """Engine name -> the address of its private server."""
        return {name: server.address for name, server in self.servers.items() if isinstance(server, PrivateServer)}

    @property
    def answering(self) -> dict[str, str]:
        """Engine name -> where its server answers, a private one or not."""
        engines = [engine for engine in self._plan.engines if engine.config.name in self.servers]
        return {e.config.name: str(e.options["url"]) for e in engines if "url" in e.options} | dict(self.addresses)

    async def run(self) -> None:
        """Tend every server until `stop`; they are stopped one after the other, the last one first."""
        tenders = [asyncio.create_task(server.run()) for server in self.servers.values()]
        stopping = asyncio.create_task(self.stopping.wait())
        try:
            waiting: set[asyncio.Task[Any]] = {stopping, *tenders}
            while stopping in waiting and not any(task.exception() for task in tenders if task.done()):
                _, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            for tender in reversed(tenders):
                tender.cancel()
                await asyncio.wait([tender])
        for tender in tenders:
            if not tender.cancelled():
                tender.result()  # raises what went wrong inside soakd

    async def settled(self, unless: asyncio.Event | None = None) -> None:
        """Wait until every server answers or has been given up, or until `unless` is set: the run ends already."""
        giving_up = asyncio.create_task((unless or asyncio.Event()).wait())
        for server in self.servers.values():
            settled = asyncio.create_task(server.settled.wait())
            await asyncio.wait([settled, giving_up], return_when=asyncio.FIRST_COMPLETED)
            settled.cancel()
        giving_up.cancel()

    def stop(self) -> None:
        """Stop every private server, in order."""
        self.stopping.set()

    def abandon(self) -> None:
        """Kill every private server and remove its folder, without waiting: the daemon ends now."""
        for server in self.servers.values():
            server.abandon()

    def _make(self, engine: EnginePlan, kind: ServerKind, folder: Path) -> PrivateServer | ExistingServer:
        name, options = engine.config.name, engine.options
        first_life = self._first_lives.get(name, 0)
        common: dict[str, Any] = {
            "supervision": self._plan.config.supervision, "sample_every_s": engine.sample_every_s,
            "sampling": self.sampling,
        }  # fmt: skip
        if (url := options.get("url")) is not None:
            records = ServerRecords(name, kind, "url", self._put, first_life)
            return ExistingServer(records, url, without_credentials(url), lambda: client_of(kind, url), **common)
        binary = programs.find(kind, options)
        place = ServerPlace(folder / name, port=kind == "opa")
        return PrivateServer(
            ServerRecords(name, kind, "private", self._put, first_life), place,
            lambda: _command(kind, binary, place, options, _users(self._plan, name)),
            lambda: client_of(kind, place.address), **common,
        )  # fmt: skip


def client_of(kind: ServerKind, address: str) -> Client:
    """Make a connection of the daemon's to a server; inside an event loop."""
    return RedisQuestions(address) if kind == "redis" else OpaQuestions(address)


def private(engines: Iterable[EnginePlan]) -> list[EnginePlan]:
    """Return the engines whose server soakd starts."""
    return [engine for engine in engines if server_of(engine) is not None and "url" not in engine.options]


def _command(kind: ServerKind, binary: str, place: ServerPlace, options: Mapping[str, Any], users: int) -> list[str]:
    if kind == "opa":
        return opa.command(binary, place.port, options)
    default = KINDS["cache.redis"].options
    capacity, connections = (options.get(name, default[name].default) for name in ("capacity", "connections"))
    return redis.command(
        binary, place.socket, place.folder, capacity=capacity, connections=connections * users,
        args=options.get("args", ()),
    )  # fmt: skip


def _users(plan: Plan, name: str) -> int:
    """Count the workers that talk to the server of an engine: its own, and those of engines that contain it."""
    return 1 + sum(
        any(info.type == "engine" and engine.options.get(option) == name for option, info in options.items())
        for engine in plan.engines
        for options in [KINDS[engine.config.kind].options]
    )
