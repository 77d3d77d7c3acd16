"""Many decisions in one call: an item that fails is an error in its place, and the others are answered."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

Item = TypeVar("Item")


def decide_each(decide: Callable[[Item], Any], items: Iterable[Item]) -> list[Any]:
    """Return a decision for each item, in order; for one that raises, its exception."""
    return [_decision(decide, item) for item in items]


async def decide_each_async(decide: Callable[[Item], Awaitable[Any]], items: Iterable[Item]) -> list[Any]:
    """Return as `decide_each` does; the items are on their way at the same time."""
    return list(await asyncio.gather(*[_decision_async(decide, item) for item in items]))


def _decision(decide: Callable[[Item], Any], item: Item) -> Any:
    try:
        return decide(item)
    except Exception as error:  # noqa: BLE001 - the item's answer; nobody else's
        return error


async def _decision_async(decide: Callable[[Item], Awaitable[Any]], item: Item) -> Any:
    try:
        return await decide(item)
    except Exception as error:  # noqa: BLE001 - as above
        return error
