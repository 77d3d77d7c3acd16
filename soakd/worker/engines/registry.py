"""Builds a worker's engine from its spec. Options and roles of every kind are in `setup.engine_kinds`."""

import importlib
import inspect
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from soakd.errors import EngineError
from soakd.wire.spec import WorkerSpec
from soakd.worker.engines.failures import one_line
from soakd.worker.engines.protocol import Engine

ADAPTERS: Mapping[str, str] = {
    "policy.regorus": "soakd.worker.engines.policy_regorus:RegorusPolicy",
    "policy.opa": "soakd.worker.engines.policy_opa:OpaPolicy",
    "cache.native": "soakd.worker.engines.cache_native:NativeCache",
    "cache.python": "soakd.worker.engines.cache_python:PythonCache",
    "cache.redis": "soakd.worker.engines.cache_redis:RedisCache",
    "authorize": "soakd.worker.engines.authorize:make",
    "python": "soakd.worker.engines.python_factory:make",
    "control.null": "soakd.worker.engines.control_null:NullControl",
    "control.leak": "soakd.worker.engines.control_leak:LeakControl",
}
"""Kind -> "module:callable"; the callable takes the kind's options as keyword arguments."""


def build(spec: WorkerSpec) -> Engine:
    """Build the engine that a worker drives.

    Raises:
        EngineError: an unknown kind or option, or the adapter refused; in one line.
    """
    sys.path[:0] = [folder for folder in spec.path if folder not in sys.path]
    adapter = adapter_of(spec.kind)
    if spec.kind == "python":
        return _called(spec.kind, adapter, {"factory": spec.factory, "options": spec.options})
    if spec.kind == "authorize":
        internal = {"name": spec.engine, "seed": spec.seed + spec.segment, "build_part": partial(build_peer, spec)}
        return _called(spec.kind, adapter, dict(spec.options), **internal)
    return _called(spec.kind, adapter, dict(spec.options))


def build_peer(spec: WorkerSpec, name: str) -> Engine:
    """Build another engine of the run for `authorize`, in this process, separate from that engine's own worker.

    Raises:
        EngineError: no engine of that name, or as for `build`.
    """
    if name not in spec.peers:
        raise EngineError(f'no engine "{name}" in this run; engines: {", ".join(sorted(spec.peers))}')
    kind = spec.peers[name]["kind"]
    if kind in ("authorize", "python"):
        raise EngineError(f'engine "{name}": kind "{kind}" cannot be a part of authorize')
    options = dict(spec.peers[name].get("options") or {})
    if kind == "policy.opa":
        options.pop("reload_every", None)  # the engine's own worker pushes to the server that they share
    return _called(kind, adapter_of(kind), options)


def is_async(engine: Engine) -> bool:
    """Return whether the engine's operations are awaited; its attribute `is_async` decides, if it has one."""
    declared = getattr(engine, "is_async", None)
    return bool(inspect.iscoroutinefunction(engine.operation) if declared is None else declared)


def adapter_of(kind: str) -> Callable[..., Engine]:
    """Import the adapter of a kind.

    Raises:
        EngineError: an unknown kind, or its packages are missing in this interpreter.
    """
    if kind not in ADAPTERS:
        raise EngineError(f'no engine of kind "{kind}"; kinds: {", ".join(sorted(ADAPTERS))}')
    module, _, name = ADAPTERS[kind].partition(":")
    try:
        adapter: Callable[..., Engine] = getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise EngineError(f'kind "{kind}" does not work under {sys.executable}: {one_line(error)}') from error
    return adapter


def _called(kind: str, adapter: Callable[..., Engine], options: Mapping[str, Any], **internal: Any) -> Engine:
    known = [name for name in inspect.signature(adapter).parameters if name not in internal]
    unknown = [name for name in options if name not in known]
    if unknown:
        has = f"known options: {', '.join(sorted(known))}" if known else "it has none"
        raise EngineError(f'kind "{kind}": unknown option "{unknown[0]}"; {has}')
    try:
        return adapter(**options, **internal)
    except EngineError:
        raise
    except ImportError as error:
        raise EngineError(f'kind "{kind}" does not work under {sys.executable}: {one_line(error)}') from error
    except Exception as error:
        raise EngineError(f'kind "{kind}": {one_line(error)}') from error
