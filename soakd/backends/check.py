"""What would keep the servers of a plan from working, found before the run: by looking, and by starting them once."""

import asyncio
import contextlib
import dataclasses
import tempfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from soakd.backends import Backends, client_of, opa, private, programs, server_of
from soakd.backends.client import without_password
from soakd.backends.opa import OpaClient
from soakd.backends.watch import answered
from soakd.errors import BackendError
from soakd.plan import EnginePlan, Plan
from soakd.records import Record


async def faults(plan: Plan) -> dict[str, str]:
    """Look at programs, releases, policies and addresses: engine name -> what is wrong with its server."""
    engines = [engine for engine in plan.engines if server_of(engine) is not None]
    found = await asyncio.gather(*(_fault(engine) for engine in engines))
    return {engine.config.name: fault for engine, fault in zip(engines, found, strict=True) if fault is not None}


@contextlib.asynccontextmanager
async def trial(plan: Plan) -> AsyncIterator[tuple[Mapping[str, str], dict[str, str]]]:
    """Start the private servers of a plan once, apart from any run; nothing is left of them afterwards.

    Yields:
        Addresses by engine name, for those that answer; and what is wrong, for the others.
    """
    supervision = dataclasses.replace(plan.config.supervision, max_restarts=0)
    mine = dataclasses.replace(
        plan, config=dataclasses.replace(plan.config, supervision=supervision), engines=tuple(private(plan.engines))
    )
    if not mine.engines:
        yield {}, {}
        return
    with tempfile.TemporaryDirectory(prefix="soakd-", ignore_cleanup_errors=True) as folder:
        backends = Backends(mine, _ignore, Path(folder))
        tender = asyncio.create_task(backends.run())
        try:
            await backends.settled()
            wrong = {name: server.failure for name, server in backends.servers.items() if server.failure is not None}
            wrong |= await _missing_rules(mine, backends.addresses, wrong)
            yield {name: url for name, url in backends.addresses.items() if name not in wrong}, wrong
        finally:
            backends.stop()
            await tender


async def _fault(engine: EnginePlan) -> str | None:
    kind, options = server_of(engine), engine.options
    assert kind is not None
    try:
        if (url := options.get("url")) is not None:
            await _ask_once(engine, url)
            return None
        binary = programs.find(kind, options)
        if kind == "opa":
            await asyncio.to_thread(programs.check_version, binary, programs.pinned(options))
            await opa.check_policy(binary, options)
    except BackendError as error:
        return str(error)
    return None


async def _ask_once(engine: EnginePlan, url: str) -> None:
    kind = server_of(engine)
    assert kind is not None
    client = client_of(kind, url)
    try:
        await answered(client.ask())
    except BackendError as error:
        shown = without_password(url)
        words = str(error).removeprefix(shown.rstrip("/")).removeprefix(":").strip()
        raise BackendError(f"url: {shown}: {words}: start that server, or leave url out for a private one") from error
    finally:
        await client.close()


async def _missing_rules(plan: Plan, addresses: Mapping[str, str], wrong: Mapping[str, str]) -> dict[str, str]:
    missing = {}
    for engine in plan.engines:
        name, rule = engine.config.name, engine.options.get("rule")
        if server_of(engine) != "opa" or name in wrong:
            continue
        if rule is None:
            missing[name] = 'kind "policy.opa": option "rule" must be given'
            continue
        client = OpaClient(addresses[name])
        try:
            if await answered(client.has_rule(rule)) is False:
                missing[name] = f'rule "{rule}": neither a rule of the policy nor a document of its data'
        except BackendError as error:
            missing[name] = str(error)
        finally:
            await client.close()
    return missing


def _ignore(record: Record) -> None:
    """A trial keeps no records."""
