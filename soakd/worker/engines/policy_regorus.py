"""`policy.regorus`: Rego in process, through `soakd._native`."""

import time
from collections.abc import Iterable, Mapping
from typing import Any

from soakd.errors import EngineError
from soakd.wire.policies import read_data, read_modules
from soakd.wire.spec import Operation
from soakd.worker.engines.batch import decide_each
from soakd.worker.engines.outcomes import Outcomes


class RegorusPolicy:
    """Decides on each operation's input.

    Args:
        policy: .rego files, or folders of them.
        rule: the rule to decide, such as "data.rbac.allow".
        data: a JSON document for `data`.
        inputs: a file of recorded inputs, for the tape.
        reload_every: seconds between two reloads from the files, while decisions continue; None for never.

    Raises:
        EngineError: a file cannot be read, does not compile (with its line and column), or has no such rule.
        ImportError: this interpreter cannot load `soakd._native`.
    """

    def __init__(
        self, policy: str | list[str] | None = None, rule: str | None = None, data: str | None = None,
        inputs: str | None = None, reload_every: float | None = None,
    ) -> None:  # fmt: skip
        from soakd._native import Policy as NativePolicy

        if not policy or not rule:
            raise EngineError(f'kind "policy.regorus": option "{"rule" if policy else "policy"}" must be given')
        self.inputs = inputs
        self._sources = [policy] if isinstance(policy, str) else list(policy)
        self._data = data
        self._reload_every_s = reload_every or 0.0
        self._reload_due_s = time.monotonic() + (reload_every or 0.0)
        self._reloads = 0
        self._outcomes = Outcomes()
        self._note = self._outcomes.note
        try:
            self._policy = NativePolicy(read_modules(self._sources), rule, read_data(data))
        except ValueError as error:  # PolicyError is one: file, line, column
            place = "" if getattr(error, "file", None) else f'rule "{rule}": '
            raise EngineError(f"{place}{str(error).splitlines()[0]}") from error
        self.decide = self._policy.decide if reload_every is None else self._decide_on_time

    def start(self) -> None:
        """Nothing to start: the policy is compiled already."""

    def operation(self, op: Operation, /) -> Any:
        """Decide on one input; reload first if that is due."""
        decision = self.decide(op.input)
        self._note(decision)
        return decision

    def decide_many(self, given: Iterable[Mapping[str, Any]]) -> list[Any]:
        """Decide on many inputs; a failed one is represented by its exception."""
        return decide_each(self.decide, given)

    def reload_policy(self) -> None:
        """Reload the policy now."""
        self._reload()

    def close(self) -> None:
        """Drop the compiled policy."""
        del self._policy, self.decide

    def counters(self) -> Mapping[str, float]:
        """Return the counts of decisions by outcome, and of reloads."""
        return {**self._outcomes.counters(), "reloads_total": self._reloads}

    def _decide_on_time(self, given: Mapping[str, Any]) -> Any:
        if time.monotonic() >= self._reload_due_s:
            self._reload()
        return self._policy.decide(given)

    def _reload(self) -> None:
        """Read the files again and swap the policy; if it does not compile, raise and keep the old one in force."""
        self._reload_due_s = time.monotonic() + self._reload_every_s
        self._policy.reload(read_modules(self._sources), read_data(self._data))
        self._reloads += 1
