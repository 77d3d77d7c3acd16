"""`policy.regorus`: Rego in process, through `soakd._native`."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from soakd.errors import EngineError
from soakd.model import Operation


class RegorusPolicy:
    """Decides on each operation's input.

    Args:
        policy: a .rego file, several, or folders of them.
        rule: the rule to decide, such as "data.rbac.allow".
        data: a JSON document for `data`.
        reload_every: seconds between two reloads from the files, while decisions go on; None for never.

    Raises:
        EngineError: a file cannot be read, does not compile (with its line and column), or has no such rule.
        ImportError: this interpreter cannot load `soakd._native`.
    """

    def __init__(
        self, policy: str | list[str] | None = None, rule: str | None = None, data: str | None = None,
        reload_every: float | None = None,
    ) -> None:  # fmt: skip
        from soakd._native import UNDEFINED
        from soakd._native import Policy as NativePolicy

        if not policy or not rule:
            raise EngineError(f'kind "policy.regorus": option "{"rule" if policy else "policy"}" must be given')
        self._sources = [policy] if isinstance(policy, str) else list(policy)
        self._data = data
        self._undefined = UNDEFINED
        self._reload_every_s = reload_every
        self._reload_due_s = time.monotonic() + (reload_every or 0.0)
        self._decisions = self._allowed = self._undecided = self._reloads = 0
        try:
            self._policy = NativePolicy(read_modules(self._sources), rule, read_data(data))
        except ValueError as error:  # PolicyError is one: file, line, column
            place = "" if getattr(error, "file", None) else f'rule "{rule}": '
            raise EngineError(f"{place}{str(error).splitlines()[0]}") from error
        self.decide = self._policy.decide

    def start(self) -> None:
        """Nothing to start: the policy is compiled already."""

    def operation(self, op: Operation, /) -> Any:
        """Decide on one input; reload first where it is time."""
        if self._reload_every_s is not None and time.monotonic() >= self._reload_due_s:
            self._reload(self._reload_every_s)
        decision = self.decide(op.input)
        self._decisions += 1
        if decision is self._undefined:
            self._undecided += 1
        elif decision:
            self._allowed += 1
        return decision

    def close(self) -> None:
        """Let go of the compiled policy."""
        del self._policy, self.decide

    def counters(self) -> Mapping[str, float]:
        """Return decisions and how they came out; anything but false and undefined is allowed."""
        return {
            "decisions": self._decisions,
            "allowed": self._allowed,
            "denied": self._decisions - self._allowed - self._undecided,
            "undefined": self._undecided,
            "reloads": self._reloads,
        }

    def _reload(self, every_s: float) -> None:
        """Read the files again and swap; what does not compile raises here and leaves the old policy in force."""
        self._reload_due_s = time.monotonic() + every_s
        self._policy.reload(read_modules(self._sources), read_data(self._data))
        self._reloads += 1


def read_modules(sources: list[str]) -> dict[str, str]:
    """Read .rego files, and those of folders at any depth, as {file: text}; test files (`_test.rego`) stay out.

    Raises:
        EngineError: a file cannot be read, or there is none.
    """
    modules: dict[str, str] = {}
    for source in map(Path, sources):
        for file in sorted(source.rglob("*.rego")) if source.is_dir() else [source]:
            if not file.name.endswith("_test.rego"):
                modules[str(file)] = _text_of(file)
    if not modules:
        raise EngineError(f"no .rego file in {', '.join(sources)}")
    return modules


def read_data(path: str | None) -> Any:
    """Read the JSON document for `data`; None where there is none.

    Raises:
        EngineError: it cannot be read, or is no JSON object.
    """
    if path is None:
        return None
    try:
        data = json.loads(_text_of(Path(path)))
    except ValueError as error:
        raise EngineError(f"{path}: not JSON: {error}") from error
    if not isinstance(data, dict):
        raise EngineError(f"{path}: must be a JSON object, got {type(data).__name__}")
    return data


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise EngineError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
