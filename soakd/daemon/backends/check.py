"""What would keep the servers of a plan from working: found before the run, by looking and by starting them once."""

import asyncio
import contextlib
import dataclasses
import ssl
import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path

from aiohttp import ClientSSLError

from soakd.daemon.backends import Backends, client_of, opa, private, programs, server_of
from soakd.daemon.backends.opa import OpaQuestions
from soakd.daemon.backends.server_records import answered
from soakd.errors import BackendError
from soakd.setup.plan import EnginePlan, Plan
from soakd.wire.addresses import without_credentials
from soakd.wire.records import Record


async def faults(plan: Plan) -> dict[str, str]:
    """Look at programs, releases, policies and addresses: engine name -> what is wrong with its server."""
    engines = [engine for engine in plan.engines if server_of(engine) is not None]
    found = await asyncio.gather(*(_fault(engine) for engine in engines))
    return {engine.config.name: fault for engine, fault in zip(engines, found, strict=True) if fault is not None}


@contextlib.asynccontextmanager
async def trial(plan: Plan) -> AsyncIterator[tuple[Mapping[str, str], dict[str, str]]]:
    """Start the private servers of a plan once, outside of any run; leave nothing of them.

    Yields:
        Engine name -> address, of those that answer; and engine name -> what is wrong, of the others.
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
            yield {name: url for name, url in backends.addresses.items() if name not in wrong}, wrong
        finally:
            backends.stop()
            await tender


async def missing_rules(engines: Iterable[EnginePlan], addresses: Mapping[str, str]) -> dict[str, str]:
    """Ask every OPA for the rule of its engine, once its policy is there.

    A rule that is not there is undefined for every input, which is no error: the soak would be of nothing.

    Args:
        engines: those that have started and pushed their policies.
        addresses: of private servers, by engine name.

    Returns:
        Engine name -> what is missing. Of a server that does not list its policies nothing is reported.
    """
    missing = {}
    for engine in engines:
        if server_of(engine) != "opa":
            continue
        name, rule = engine.config.name, engine.options["rule"]
        client = OpaQuestions(addresses.get(name) or engine.options["url"])
        try:
            if await answered(client.has_rule(rule)) is False:
                missing[name] = f'rule "{rule}": neither a rule of the policy nor a document of its data'
        except BackendError:
            continue  # its list is too long to arrive in time
        finally:
            await client.close()
    return missing


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
        shown = without_credentials(url)
        words = str(error).removeprefix(shown.rstrip("/")).removeprefix(":").strip()
        # Something answers there, or else nothing does: only then is it a server that was not started.
        advice = ": start that server, or leave url out for a private one" if _is_silence(error) else ""
        raise BackendError(f"url: {shown}: {words}{advice}") from error
    finally:
        await client.close()


def _is_silence(error: BackendError) -> bool:
    cause = error.__cause__
    return isinstance(cause, OSError | TimeoutError) and not isinstance(cause, ssl.SSLError | ClientSSLError)


def _ignore(record: Record) -> None:
    """Keep no record: this is a trial."""
