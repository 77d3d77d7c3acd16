"""Many decisions in one call: a failed item is represented by its exception, and the others are answered."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

Item = TypeVar("Item")


def decide_each(decide: Callable[[Item], Any], items: Iterable[Item]) -> list[Any]:
    """Return each item's decision in order, or the exception that it raised."""
    return [_decision(decide, item) for item in items]


async def decide_each_async(decide: Callable[[Item], Awaitable[Any]], items: Iterable[Item]) -> list[Any]:
    """Return as `decide_each` does, with all items in flight at the same time."""
    return list(await asyncio.gather(*[_decision_async(decide, item) for item in items]))


def _decision(decide: Callable[[Item], Any], item: Item) -> Any:
    try:
        return decide(item)
    except Exception as error:  # noqa: BLE001 - it is this item's answer
        return error


async def _decision_async(decide: Callable[[Item], Awaitable[Any]], item: Item) -> Any:
    try:
        return await decide(item)
    except Exception as error:  # noqa: BLE001 - as above
        return error
