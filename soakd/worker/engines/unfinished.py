"""Results that are only a promise of work: a coroutine that is not awaited, a generator that is not iterated.

An operation that returns one has done nothing: its soak would pass without running a single line of it.
"""

import inspect
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from functools import partial
from typing import Any

from soakd.wire.spec import Operation

HARMLESS = (type(None), bool, int, float, str, bytes, tuple, list, dict)
MOST_TYPES = 64
"""The most result types remembered as harmless: an engine that creates types must be able to free them."""


def checked(perform: Callable[..., Any], *, wants_operation: bool, is_async: bool) -> Callable[[Operation], Any]:
    """Return a callable that takes an Operation and raises if the result is unfinished.

    It costs one set look-up: each case has its own closure, so that nothing is decided per operation.
    """
    make = _checked_async if is_async else _checked_sync
    return make(perform, wants_operation)


def refuse_unfinished(what: str, result: object) -> None:
    """Do nothing with an ordinary result.

    Raises:
        TypeError: the result is unfinished. It is closed first, so that Python does not warn about each one.
    """
    lazy = isinstance(result, Generator | AsyncGenerator)
    if not lazy and not inspect.isawaitable(result):
        return
    if isinstance(result, Coroutine | Generator):
        result.close()
    raise TypeError(f"{what} returned {_named(result)}: nothing of it has run; {_advice(result)}")


def is_coroutine_function(perform: Any) -> bool:
    """Return whether calling it gives a coroutine, also for partials and objects with an async `__call__`."""
    return any(inspect.iscoroutinefunction(each) for each in _called(perform))


def is_generator_function(perform: Any) -> bool:
    """Return whether calling it gives a generator, async or not."""
    return any(inspect.isgeneratorfunction(each) or inspect.isasyncgenfunction(each) for each in _called(perform))


def _called(perform: Any) -> tuple[Any, Any]:
    while isinstance(perform, partial):
        perform = perform.func
    return perform, type(perform).__call__


def _checked_sync(perform: Callable[..., Any], wants_operation: bool) -> Callable[[Operation], Any]:
    harmless: set[type] = set(HARMLESS)

    def with_operation(op: Operation) -> Any:
        result = perform(op)
        if type(result) not in harmless:
            _learn(harmless, result)
        return result

    def without(_: Operation) -> Any:
        result = perform()
        if type(result) not in harmless:
            _learn(harmless, result)
        return result

    return with_operation if wants_operation else without


def _checked_async(perform: Callable[..., Any], wants_operation: bool) -> Callable[[Operation], Any]:
    harmless: set[type] = set(HARMLESS)

    async def with_operation(op: Operation) -> Any:
        result = await perform(op)
        if type(result) not in harmless:
            _learn(harmless, result)
        return result

    async def without(_: Operation) -> Any:
        result = await perform()
        if type(result) not in harmless:
            _learn(harmless, result)
        return result

    return with_operation if wants_operation else without


def _learn(harmless: set[type], result: object) -> None:
    refuse_unfinished("operation", result)
    if len(harmless) < MOST_TYPES:
        harmless.add(type(result))


def _named(result: object) -> str:
    if isinstance(result, Coroutine):
        return "a coroutine that is never awaited"
    if isinstance(result, Generator | AsyncGenerator):
        return "a generator that is never iterated"
    return f"an awaitable ({type(result).__name__}) that is never awaited"


def _advice(result: object) -> str:
    if isinstance(result, Generator | AsyncGenerator) and not isinstance(result, Coroutine):
        return "iterate over it in the function itself"
    return "make the function async def, and await it there"
