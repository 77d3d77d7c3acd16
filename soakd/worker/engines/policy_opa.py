"""`policy.opa`: Rego in a real OPA server, over HTTP, as a service would use it."""

import asyncio
import json
import math
import re
import time
from collections.abc import Iterable, Mapping
from typing import Any

from soakd.errors import EngineError
from soakd.wire.policies import read_data, read_modules
from soakd.wire.spec import Operation
from soakd.worker.engines.batch import decide_each_async
from soakd.worker.engines.opa_client import OpaClient
from soakd.worker.engines.outcomes import Outcomes

RULE = re.compile(r"data(\.[A-Za-z_][A-Za-z0-9_]*)+")
ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)


class OpaPolicy:
    """Decides on each operation's input with `POST /v1/data/...` over a pool of keep-alive connections.

    The policy is pushed at the start; a server that already has the same text under the same name answers at once. It
    is pushed again after a lost connection, since the server may have been replaced, and every `reload_every` with a
    new revision, while decisions continue.

    Args:
        policy: .rego files or folders of them; None if the server has its policy.
        rule: the rule to decide, such as "data.rbac.allow".
        data: a JSON document for `data`; each of its keys is replaced on the server, other keys are kept.
        inputs: a file of recorded inputs, for the tape.
        reload_every: seconds between two pushes; None for never.
        timeout: seconds for one attempt.
        retries: attempts after a failed one.
        connections: the most connections at once.
        url: of the server.

    Raises:
        EngineError: the rule or address is missing, or a file cannot be read.
        ImportError: this interpreter has no aiohttp.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - an argument for each option
        self, policy: str | list[str] | None = None, rule: str | None = None, data: str | None = None,
        inputs: str | None = None, reload_every: float | None = None, timeout: float = 1.0, retries: int = 2,
        connections: int = 16, url: str | None = None,
    ) -> None:  # fmt: skip
        if not rule or not url:
            raise EngineError(f'kind "policy.opa": option "{"url" if rule else "rule"}" must be given')
        if not RULE.fullmatch(rule):
            raise EngineError(f'rule "{rule}": not a valid rule path, such as "data.rbac.allow"')
        if reload_every is not None and not policy:
            raise EngineError('kind "policy.opa": option "reload_every" needs the option "policy"')
        self.inputs = inputs
        self._sources = [policy] if isinstance(policy, str) else list(policy or [])
        self._data = data
        self._path = "/v1/" + rule.replace(".", "/")
        self._client = OpaClient(url, timeout_s=timeout, retries=retries, connections=connections)
        self._reload_every_s = reload_every
        self._reload_due_s = time.monotonic() + (reload_every or 0.0)
        self._pushing: asyncio.Task[None] | None = None
        self._push_error: Exception | None = None
        self._revision = self._lost_before = 0
        self._reloads = self._reload_errors = 0
        self._outcomes = Outcomes()

    async def start(self) -> None:
        """Check that the server answers, and load the policy.

        Raises:
            BackendError: the server does not answer.
            EngineError: it rejects the policy.
        """
        await self._client.open()
        await self._push()
        self._lost_before = self._client.attempts.connection_errors_total

    async def operation(self, op: Operation, /) -> Any:
        """Decide on one input; push the policy in the background if that is due."""
        if self._reload_every_s is not None and time.monotonic() >= self._reload_due_s:
            self._reload_due_s = time.monotonic() + self._reload_every_s
            self._push_meanwhile(1)
        if self._push_error is not None:
            error, self._push_error = self._push_error, None
            raise error
        decision = await self.decide(op.input)
        self._outcomes.note(decision)
        return decision

    async def decide(self, given: Mapping[str, Any]) -> Any:
        """Decide on one input; UNDEFINED where the rule does not apply.

        Raises:
            BackendError: no answer after all attempts.
            EngineError: the answer is not a decision.
        """
        decision = await self._client.decide(self._path, ENCODER.encode({"input": given}).encode())
        if self._client.attempts.connection_errors_total != self._lost_before:
            self._lost_before = self._client.attempts.connection_errors_total
            self._push_meanwhile(0)
        return decision

    def reload_policy(self) -> None:
        """Push the policy again, with a new revision, at the next operation."""
        self._reload_due_s = -math.inf
        self._reload_every_s = self._reload_every_s or math.inf

    async def decide_many(self, given: Iterable[Mapping[str, Any]]) -> list[Any]:
        """Decide on many inputs concurrently; a failed one is represented by its exception."""
        return await decide_each_async(self.decide, given)

    async def close(self) -> None:
        """Close the connections; the server keeps its policy."""
        if self._pushing is not None:
            self._pushing.cancel()
            await asyncio.gather(self._pushing, return_exceptions=True)
            self._pushing = None
        await self._client.close()

    def counters(self) -> Mapping[str, float]:
        """Return the counts of decisions by outcome, as `policy.regorus` does, and of attempts."""
        return {
            **self._outcomes.counters(),
            "reloads_total": self._reloads,
            "reload_errors_total": self._reload_errors,
            **self._client.attempts.counters(),
        }

    def _push_meanwhile(self, revisions: int) -> None:
        """Push in a separate task; one at a time, since two would only slow a slow server further."""
        if self._sources and self._pushing is None:
            self._pushing = asyncio.get_running_loop().create_task(self._push_again(revisions))

    async def _push_again(self, revisions: int) -> None:
        try:
            self._revision += revisions
            await self._push()
            self._reloads += revisions
        except Exception as error:  # noqa: BLE001 - raised by the next operation, where it is counted
            self._reload_errors += 1
            self._push_error = error
        finally:
            self._pushing = None

    async def _push(self) -> None:
        if self._sources:
            await self._client.push(read_modules(self._sources), read_data(self._data), self._revision)
