"""Containers that keep growing, told from those that are filled and emptied."""

from collections import OrderedDict, deque
from typing import Any

import pytest

from soakd.worker.attribution import holders, naming

pytestmark = pytest.mark.usefixtures("every_object_is_seen")

W = 100


def entries(count: int) -> list[Any]:
    return [[number] for number in range(count)]


@pytest.mark.parametrize("kind", [list, deque, set, dict])
def test_what_keeps_all_its_entries_is_named(kind: type) -> None:
    container: Any = kind()

    def add(count: int) -> None:
        for number in range(len(container), len(container) + count):
            if isinstance(container, dict):
                container[str(number)] = [number]
            else:
                (container.add if isinstance(container, set) else container.append)(f"entry {number}")

    add(20)
    first = holders.unpacked(holders.census())
    add(W)
    second = holders.unpacked(holders.census())
    add(3 * W)
    found = {id(growing.container): growing for growing in holders.growing(first, second, (W, 3 * W))}
    assert found[id(container)].per_operation == 1.0


def test_what_is_emptied_and_filled_again_is_not_named() -> None:
    buffer = entries(20)
    first = holders.unpacked(holders.census())
    buffer[:] = entries(60)
    second = holders.unpacked(holders.census())
    buffer[:] = entries(200)
    assert id(buffer) not in {id(growing.container) for growing in holders.growing(first, second, (W, 3 * W))}


def test_the_turnover_of_what_is_full_is_counted_in_operations() -> None:
    cache: OrderedDict[int, list[int]] = OrderedDict((number, [number]) for number in range(10_000, 10_400))
    before = holders.unpacked(holders.census())
    for number in range(20_000, 20_000 + W // 2):
        cache[number] = [number]
        cache.popitem(last=False)
    assert holders.turnover(before, W) == pytest.approx(800, abs=16)


@pytest.mark.parametrize("kind", [list, deque])
def test_a_list_of_what_everybody_shares_is_named_too(kind: type) -> None:
    statuses: Any = kind([200] * 20)
    first = holders.unpacked(holders.census())
    statuses.extend([200] * W)
    second = holders.unpacked(holders.census())
    statuses.extend([200] * (3 * W))
    found = {id(growing.container) for growing in holders.growing(first, second, (W, 3 * W))}
    assert id(statuses) in found


def test_an_entry_at_the_address_of_one_that_is_gone_is_another() -> None:
    """All was replaced; that the address of a key of before is ten entries from the end says nothing."""
    keys, others = ([(number, start) for number in range(400)] for start in (0, 1))
    values = entries(400)
    cache = dict(zip(keys, values, strict=True))
    before = holders.unpacked(holders.census())
    assert holders.turnover(before, W) == 0
    cache.clear()
    cache.update(dict.fromkeys([*others[:389], keys[-1], *others[390:]]))
    assert holders.turnover(before, W) == 0


def test_a_value_that_is_written_again_makes_no_other_entry() -> None:
    hits = {(number,): 0 for number in range(400)}
    before = holders.unpacked(holders.census())
    for number in range(400, 450):
        hits[number - 1,] = number  # counted
        hits[number,] = 0
        del hits[number - 400,]
    assert holders.turnover(before, W) == pytest.approx(800, abs=16)


def test_a_variable_of_a_coroutine_that_waits_is_a_holder() -> None:
    async def serve() -> None:
        seen = entries(1)
        await forever(seen)

    class Forever:
        def __await__(self) -> Any:
            yield

    async def forever(_: Any) -> None:
        await Forever()

    waiting: Any = serve()
    waiting.send(None)
    frame = waiting.cr_frame
    assert frame is not None
    words, _, function = naming.name_of(frame.f_locals["seen"], [])
    assert words.startswith("list `seen` of ")
    assert function.endswith("serve")
    waiting.close()
