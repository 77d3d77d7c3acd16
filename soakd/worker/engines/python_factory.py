"""`python`: a user's own operation, from `factory = "package.module:make"`.

`make(**options)` returns a callable that performs one operation, or an object with the methods of an engine.
"""

import importlib
import inspect
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from soakd.errors import EngineError
from soakd.wire.bounds import bounded
from soakd.wire.lines import is_reserved
from soakd.wire.spec import Operation
from soakd.worker.engines.bounds import declared_bounds
from soakd.worker.engines.failures import one_line, place_of
from soakd.worker.engines.protocol import Engine
from soakd.worker.engines.unfinished import checked, is_coroutine_function, is_generator_function, refuse_unfinished

OPERATION_NAMES = ("op", "operation")


def make(factory: str | None, options: Mapping[str, Any]) -> Engine:
    """Import and call the user's factory.

    Raises:
        EngineError: it does not import, raises (with the last line of its traceback), or returns no usable engine.
    """
    if not factory or ":" not in factory:
        raise EngineError(f'factory: must be "package.module:make", got "{factory or ""}"')
    return OwnEngine(_made(factory, options), factory)


class OwnEngine:
    """The user's callable or object, with the optional methods filled in."""

    def __init__(self, made: Any, factory: str) -> None:
        operation = getattr(made, "operation", None)
        perform = operation if callable(operation) else made
        if not callable(perform) or inspect.isclass(made):
            raise EngineError(
                f'factory "{factory}": must return a callable or an object with operation(op), got {_described(made)}'
            )
        self._made = made
        if is_generator_function(perform):
            raise EngineError(f'factory "{factory}": an operation must not be a generator function: it would never run')
        if is_coroutine_function(getattr(made, "counters", None)):
            raise EngineError(f'factory "{factory}": counters() must not be async: it is read between operations')
        self.is_async = is_coroutine_function(perform)
        self.operation: Callable[[Operation], Any] = checked(
            perform, wants_operation=_wants_operation(perform, factory), is_async=self.is_async
        )
        vars(self).update(declared_bounds(made))

    def start(self) -> Awaitable[None] | None:
        """Call its `start`, if it has one."""
        started: Awaitable[None] | None = self._call("start")
        return started

    def close(self) -> Awaitable[None] | None:
        """Call its `close`, if it has one, and drop it."""
        done: Awaitable[None] | None = self._call("close")
        self._made = self.operation = _closed
        return done

    def counters(self) -> Mapping[str, float]:
        """Return its counters, if it has any."""
        counted = self._call("counters")
        refuse_unfinished("counters()", counted)
        return counted or {}

    def take_findings(self) -> list[dict[str, Any]]:
        """Return its findings since the last call, if it has any; each becomes an incident of the run."""
        try:
            findings = self._call("take_findings")
            refuse_unfinished("take_findings()", findings)
            return [_as_record(finding) for finding in findings or ()]
        except Exception as error:  # noqa: BLE001 - it runs between operations, so the error must be caught here
            return [{"what": "findings_failed", "detail": f"take_findings(): {one_line(error)}"}]

    def _call(self, name: str) -> Any:
        method = getattr(self._made, name, None)
        result = method() if callable(method) else None
        if not inspect.isawaitable(result):  # the worker awaits it if needed
            refuse_unfinished(f"{name}()", result)
        return result


def _as_record(finding: object) -> dict[str, Any]:
    """Return a finding fit for a record: `what` (not the name of a soakd incident), `detail`, and other JSON values."""
    if not isinstance(finding, Mapping) or not all(isinstance(finding.get(key), str) for key in ("what", "detail")):
        raise TypeError(f'a finding is a dict with the texts "what" and "detail", got {_described(finding)}')
    if is_reserved(finding["what"]):
        raise ValueError(f'"what": "{finding["what"]}" is what soakd itself calls an incident: name it otherwise')
    record: dict[str, Any] = json.loads(json.dumps(bounded(dict(finding)), allow_nan=False))
    return record


def _made(factory: str, options: Mapping[str, Any]) -> Any:
    module_name, _, path = factory.partition(":")
    try:
        made: Any = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        raise EngineError(f'factory "{factory}": module "{module_name}" does not import: {_told(error)}') from error
    for name in path.split("."):
        if not hasattr(made, name):
            raise EngineError(f'factory "{factory}": module "{module_name}" has no "{path}"{_like(name, made)}')
        made = getattr(made, name)
    if not callable(made):
        raise EngineError(f'factory "{factory}": "{path}" cannot be called: it is {_described(made)}')
    _refuse_other_options(made, factory, path, options)
    try:
        result = made(**options)
    except (Exception, SystemExit) as error:
        raise EngineError(f'factory "{factory}": {path}() raised {_told(error)}') from error
    if inspect.iscoroutine(result):
        result.close()
        raise EngineError(f'factory "{factory}": {path} must not be async; what it returns may be')
    return result


def _like(name: str, module: object) -> str:
    import difflib  # not before something is wrong: a worker carries what it needs

    close = difflib.get_close_matches(name, dir(module), n=1)
    return f' (did you mean "{close[0]}"?)' if close else ""


def _told(error: BaseException) -> str:
    """Describe what a module or factory raised, and on which of its own lines."""
    return one_line(error) + ("" if isinstance(error, SyntaxError) else place_of(error))


def _refuse_other_options(made: Any, factory: str, path: str, options: Mapping[str, Any]) -> None:
    """Refuse unknown or missing options, with a message about options rather than arguments."""
    try:
        signature = inspect.signature(made)
    except (TypeError, ValueError):  # some callables written in C have no signature
        return
    try:
        signature.bind(**options)
    except TypeError as error:
        raise EngineError(f'factory "{factory}": options: {error}; {path} takes {str(signature)[:200]}') from error


def _wants_operation(perform: Callable[..., Any], factory: str) -> bool:
    """Return whether it takes the operation: in a parameter without a default, or called `op` or `operation`."""
    try:
        parameters = inspect.signature(perform).parameters.values()
    except (TypeError, ValueError):  # some callables written in C have no signature
        return False
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    required = [p for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    if len(required) > 1 or any(p.kind is p.KEYWORD_ONLY for p in required):
        names = ", ".join(p.name for p in required)
        raise EngineError(f'factory "{factory}": an operation takes nothing or one Operation; this one needs {names}')
    return bool(required) or (bool(positional) and positional[0].name in OPERATION_NAMES)


def _described(value: object) -> str:
    return f"the class {value.__name__}" if inspect.isclass(value) else f"{type(value).__name__}"


def _closed(*_: object) -> None:
    raise EngineError("the engine is closed")
