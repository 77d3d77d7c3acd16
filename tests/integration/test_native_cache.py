"""The Rust cache through `soakd._native`: what it promises, and what a hostile caller may try."""

import enum
import gc
import math
import sys
import weakref
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

native = pytest.importorskip("soakd._native")
Cache = native.Cache

NO_TIME_S = 1e-9
"""One nanosecond: over with the next tick of the cache's clock."""


def expired(cache: Any, key: str) -> None:
    """Wait for that tick."""
    while key in cache:
        pass


class TestAnEntry:
    def test_is_found_by_another_string_that_is_equal(self) -> None:
        cache = Cache(2)
        cache.set("user:1", [1])
        assert cache.get("user:" + str(1)) == [1]

    def test_is_the_very_object_that_was_set(self) -> None:
        cache, value = Cache(2), object()
        cache.set("a", value)
        assert cache.get("a") is value

    def test_that_was_used_least_recently_makes_room(self) -> None:
        cache = Cache(2)
        cache.set("a", 1)
        cache.set("b", 2)
        cache.get("a")
        cache.set("c", 3)
        assert ["a" in cache, "b" in cache, "c" in cache] == [True, False, True]

    def test_that_has_expired_is_neither_returned_nor_contained(self) -> None:
        cache = Cache(2)
        cache.set("a", 1, NO_TIME_S)
        expired(cache, "a")
        assert cache.get("a", "gone") == "gone"
        assert cache.stats()["expirations"] == 1

    def test_of_its_own_time_to_live_outlives_the_caches(self) -> None:
        cache = Cache(3, NO_TIME_S)
        cache.set("short", 1)
        cache.set("long", 2, 3600)
        cache.set("ever", 3, math.inf)
        expired(cache, "short")
        assert [cache.get("short"), cache.get("long"), cache.get("ever")] == [None, 2, 3]

    def test_that_has_expired_is_swept(self) -> None:
        cache = Cache(200, NO_TIME_S)
        for number in range(200):
            cache.set(str(number), number)
        expired(cache, "199")
        assert cache.sweep() == 64
        assert cache.sweep(1000) == 136
        assert len(cache) == 0

    def test_of_none_is_told_from_none_by_the_default(self) -> None:
        cache, missing = Cache(1), object()
        cache.set("a", None)
        assert cache.get("a", missing) is None
        assert cache.get("b", missing) is missing


class TestAHostileCaller:
    @pytest.mark.parametrize("capacity", [0, -1, 10**12, 2**31 + 1, 2**64, -(2**64)])
    def test_who_asks_for_an_impossible_capacity_gets_a_value_error(self, capacity: int) -> None:
        with pytest.raises(ValueError, match="capacity"):
            Cache(capacity)

    @pytest.mark.parametrize("capacity", [None, "10", 1.5])
    def test_whose_capacity_is_no_int_gets_a_type_error(self, capacity: Any) -> None:
        with pytest.raises(TypeError):
            Cache(capacity)

    @pytest.mark.parametrize("ttl_s", [math.nan, -1, 0, -math.inf])
    def test_who_asks_for_an_impossible_time_gets_a_value_error(self, ttl_s: float) -> None:
        with pytest.raises(ValueError, match="ttl_s"):
            Cache(1, ttl_s)
        with pytest.raises(ValueError, match="ttl_s"):
            Cache(1).set("a", 1, ttl_s)

    @pytest.mark.parametrize("ttl_s", [2**64, 1e300, math.inf])
    def test_who_asks_for_five_centuries_gets_for_ever(self, ttl_s: float) -> None:
        cache = Cache(1, ttl_s)
        cache.set("a", 1)
        assert cache.get("a") == 1

    @pytest.mark.parametrize("key", [1, b"a", None, ("a",), object()])
    def test_whose_key_is_no_str_gets_a_type_error(self, key: Any) -> None:
        cache = Cache(1)
        for call in (cache.get, cache.delete, cache.__contains__, lambda key: cache.set(key, 1)):
            with pytest.raises(TypeError, match="key"):
                call(key)

    def test_who_subclasses_str_cannot_make_the_cache_run_python_code(self) -> None:
        class Liar(str):
            __slots__ = ()

            def __hash__(self) -> int:
                raise AssertionError("hashed")

            def __eq__(self, other: object) -> bool:
                raise AssertionError("compared")

        cache = Cache(2)
        cache.set(Liar("a"), 1)
        assert cache.get("a") == 1
        assert cache.get(Liar("a")) == 1

    def test_who_uses_enum_members_finds_them_by_their_strings(self) -> None:
        class Kind(enum.StrEnum):
            READ = "read"

        cache = Cache(2)
        cache.set(Kind.READ, 1)
        assert cache.get("read") == 1

    def test_who_uses_a_lone_surrogate_as_a_key_finds_it(self) -> None:
        cache = Cache(2)
        cache.set("\ud800", 1)
        assert cache.get("\ud800") == 1

    def test_whose_destructor_calls_back_finds_a_working_cache(self) -> None:
        cache = Cache(2)
        seen: list[int] = []

        class Meddler:
            def __del__(self) -> None:
                seen.append(len(cache))
                cache.set(f"from-del-{len(seen)}", 1)
                cache.get("a")
                cache.delete("b")
                cache.sweep()

        for number in range(50):
            cache.set(f"{number % 3}", Meddler())
        cache.delete("0")
        cache.clear()
        gc.collect()
        stats = cache.stats()
        assert seen
        assert len(cache) <= 2
        removed = stats["evictions"] + stats["expirations"] + stats["deletes"]
        assert stats["inserts"] == stats["entries"] + removed

    def test_whose_destructor_raises_hurts_nobody(self, monkeypatch: pytest.MonkeyPatch) -> None:
        raised: list[Any] = []
        monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: raised.append(unraisable.exc_type))

        class Broken:
            def __del__(self) -> None:
                raise RuntimeError("in __del__")

        cache = Cache(1)
        cache.set("a", Broken())
        cache.set("b", 1)
        assert raised == [RuntimeError]
        assert cache.get("b") == 1

    def test_who_stores_the_cache_in_itself_is_collected(self) -> None:
        class Node:
            def __init__(self, cache: Any) -> None:
                self.cache = cache

        cache = Cache(2)
        node = Node(cache)
        cache.set("node", node)
        cache.set("self", cache)
        gone = weakref.ref(node)
        del cache, node
        gc.collect()
        assert gone() is None

    def test_whose_cycle_takes_the_place_of_a_plain_value_is_collected(self) -> None:
        class Node:
            def __init__(self, cache: Any) -> None:
                self.cache = cache

        for key in ("updated", "evicting"):
            cache = Cache(1)
            cache.set("updated", 1)
            node = Node(cache)
            cache.set(key, node)
            gone = weakref.ref(node)
            del cache, node
            gc.collect()
            assert gone() is None

    def test_who_clears_the_cache_and_fills_it_again_has_cycles_collected(self) -> None:
        cache = Cache(2)
        ring: list[Any] = [cache]
        cache.set("ring", ring)
        cache.clear()
        cache.set("plain", 1)
        cache.set("set", {"anything": cache})
        before = native.rust_bytes()
        del cache, ring
        gc.collect()
        assert native.rust_bytes() < before

    def test_who_keeps_the_cache_keeps_the_values_in_cycles(self) -> None:
        cache = Cache(2)
        ring: list[Any] = []
        ring.append(ring)
        cache.set("ring", ring)
        del ring
        gc.collect()
        assert cache.get("ring")[0] is cache.get("ring")


class TestMemory:
    def test_goes_back_after_the_cache_is_deleted(self) -> None:
        before = native.rust_bytes()
        cache = Cache(100_000)
        during = native.rust_bytes()
        for number in range(1000):
            cache.set(str(number), number)
        assert native.rust_bytes() == during
        assert during - before >= cache.stats()["structure_bytes"] - 4096
        del cache
        assert abs(native.rust_bytes() - before) < 4096

    def test_of_the_structure_is_below_fifty_bytes_an_entry(self) -> None:
        cache = Cache(1_000_000)
        assert cache.stats()["structure_bytes"] < 50 * cache.capacity

    def test_that_is_leaked_on_purpose_stays(self) -> None:
        before = native.rust_bytes()
        native.leak_box(10_000)
        assert native.rust_bytes() - before == 10_000

    def test_of_values_goes_with_them(self) -> None:
        class Value:
            pass

        cache = Cache(10)
        values = [Value() for _ in range(30)]
        gone = [weakref.ref(value) for value in values]
        for number, value in enumerate(values):
            cache.set(str(number), value)
        del values, value
        assert sum(ref() is not None for ref in gone) == 10
        cache.clear()
        assert all(ref() is None for ref in gone)


KEYS = st.sampled_from([f"k{number}" for number in range(12)])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("get"), KEYS),
        st.tuples(st.just("set"), KEYS),
        st.tuples(st.just("delete"), KEYS),
        st.tuples(st.just("contains"), KEYS),
        st.tuples(st.just("clear"), st.none()),
    ),
    max_size=200,
)


@given(capacity=st.integers(1, 10), steps=STEPS)
def test_the_cache_does_what_an_ordered_dict_does(capacity: int, steps: list[tuple[str, Any]]) -> None:
    cache: Any = Cache(capacity)
    model: dict[str, int] = {}  # the least recently used first
    for number, (step, key) in enumerate(steps):
        if step == "get":
            if key in model:
                model[key] = model.pop(key)
            assert cache.get(key) == model.get(key)
        elif step == "set":
            model.pop(key, None)
            if len(model) == capacity:
                del model[next(iter(model))]
            model[key] = number
            cache.set(key, number)
        elif step == "delete":
            assert cache.delete(key) == (model.pop(key, None) is not None)
        elif step == "contains":
            assert (key in cache) == (key in model)
        else:
            model.clear()
            cache.clear()
        assert len(cache) == len(model)
    assert {key: cache.get(key) for key in model} == model
