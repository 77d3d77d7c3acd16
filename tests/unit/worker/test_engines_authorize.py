"""`authorize`: two paths that stand in for each other, and are compared; in process and awaited alike."""

import asyncio
import inspect
import json
from typing import Any

import pytest

from soakd.errors import EngineError
from soakd.wire.spec import Operation
from soakd.worker.engines.authorize import make
from soakd.worker.engines.cache_python import PythonCache
from soakd.worker.engines.comparison import MOST_FINDINGS, ShadowComparison, same
from soakd.worker.engines.undefined import UNDEFINED


class Policy:
    """Decides whether a number is even; lies about what it was told to, and is down when it was told to be."""

    def __init__(self, *, lies_about: frozenset[int] = frozenset(), is_down: bool = False, inputs: Any = None) -> None:
        self.lies_about = lies_about
        self.is_down = is_down
        self.inputs = inputs
        self.asked = 0
        self.closed = False

    def decide(self, given: Any) -> Any:
        self.asked += 1
        if self.is_down:
            raise ConnectionError("the policy is down")
        return (given["number"] % 2 == 0) is not (given["number"] in self.lies_about)

    def start(self) -> Any: ...
    def operation(self, op: Operation) -> Any: ...
    def close(self) -> Any:
        self.closed = True

    def counters(self) -> dict[str, float]:
        return {"retries_total": 2, "timeouts_total": 1}


class AsyncPolicy(Policy):
    """The same, awaited."""

    async def decide(self, given: Any) -> Any:
        await asyncio.sleep(0)
        return super().decide(given)

    async def start(self) -> None: ...
    async def operation(self, op: Operation) -> None: ...
    async def close(self) -> None:
        super().close()


class Cache(PythonCache):
    """A cache that is down when it was told to be."""

    is_down = False

    def __init__(self) -> None:
        super().__init__()
        get, put = self.get, self.put

        def get_or_fail(key: str) -> Any:
            self._fail()
            return get(key)

        def put_or_fail(key: str, value: Any) -> None:
            self._fail()
            put(key, value)

        self.get, self.put = get_or_fail, put_or_fail  # type: ignore[assignment]

    def drop(self, key: str) -> bool:
        self._fail()
        return super().drop(key)

    def _fail(self) -> None:
        if self.is_down:
            raise ConnectionError("the cache is down")


class Fixture:
    """Two paths, and the engine over them, driven to the end whether it is awaited or not."""

    def __init__(self, made_of: type[Policy], **options: Any) -> None:
        self.new, self.old = made_of(), Policy()
        self.new_cache, self.old_cache = Cache(), Cache()
        self.parts: dict[str, Any] = {"p": self.new, "q": self.old, "c": self.new_cache, "d": self.old_cache}
        names = {"policy": "p", "cache": "c", "python_policy": "q", "python_cache": "d"}
        self.engine: Any = make(**(names | options), build_part=self.parts.__getitem__)

    def do(self, name: str, *arguments: Any) -> Any:
        result = getattr(self.engine, name)(*arguments)
        return asyncio.run(result) if inspect.iscoroutine(result) else result

    def decide(self, number: int, verb: Any = "read") -> Any:
        return self.do("operation", numbered(number, verb))

    def counted(self, name: str) -> float:
        return float(self.engine.counters()[name])


def numbered(number: int, verb: Any = "read") -> Operation:
    return Operation(verb, f"k{number}", {"number": number}, 8)


both = pytest.mark.parametrize("policy", [Policy, AsyncPolicy])


@both
def test_while_one_policy_is_down_the_other_path_serves_and_is_counted(policy: type[Policy]) -> None:
    paths = Fixture(policy)
    paths.new.is_down = True
    assert [paths.decide(number) for number in range(4)] == [True, False, True, False]
    assert paths.counted("served_by_other_total") == 4
    paths.new.is_down = False
    assert paths.decide(9) is False
    assert paths.counted("served_by_other_total") == 4
    assert paths.counted("new_misses") == 5, "what was asked of the path itself"


@both
def test_where_both_are_down_the_operation_fails_with_the_error_of_its_own_path(policy: type[Policy]) -> None:
    paths = Fixture(policy)
    paths.new.is_down = True
    paths.old_cache.is_down = paths.old.is_down = True
    with pytest.raises(ConnectionError, match="the policy is down"):
        paths.decide(1)
    assert paths.counted("served_by_other_total") == 0


@both
def test_a_path_without_another_one_fails_with_its_policy(policy: type[Policy]) -> None:
    paths = Fixture(policy, python_policy=None, python_cache=None)
    paths.new.is_down = True
    with pytest.raises(ConnectionError):
        paths.decide(1)


@both
@pytest.mark.parametrize("verb", ["read", "admin"])
def test_a_broken_cache_alone_costs_hits_and_no_decision(policy: type[Policy], verb: str) -> None:
    paths = Fixture(policy)
    paths.new_cache.is_down = True
    assert [paths.decide(2, verb) for _ in range(3)] == [True] * 3
    assert paths.counted("new_cache_errors_total") == 3
    assert paths.counted("served_by_other_total") == 0
    assert paths.new.asked == 3
    paths.new_cache.is_down = False
    assert [paths.decide(2) for _ in range(3)] == [True] * 3
    assert paths.new.asked == 4
    assert paths.counted("new_cache_errors_total") == 3


@both
def test_an_empty_path_that_is_named_without_a_cache_decides_anew(policy: type[Policy]) -> None:
    paths = Fixture(policy, python_cache=None)
    paths.new.is_down = True
    assert [paths.decide(2) for _ in range(3)] == [True] * 3
    assert paths.old.asked == 3


@both
def test_a_batch_with_failing_items_returns_the_rest(policy: type[Policy]) -> None:
    paths = Fixture(policy, python_policy=None, python_cache=None)
    broken = Operation("read", "broken", {}, 8)
    answers = paths.do("decide_many", [numbered(2), broken, numbered(3)])
    assert [answers[0], type(answers[1]), answers[2]] == [True, KeyError, False]


@both
def test_both_policies_are_asked_for_the_share_that_is_compared_and_caches_have_no_say(policy: type[Policy]) -> None:
    paths = Fixture(policy, compare_ratio=1.0, rollout_ratio=0.5)
    for _ in range(3):
        for number in range(10):
            paths.decide(number)
    assert paths.counted("compared_total") == 30
    assert paths.counted("disagreements_total") == 0
    assert paths.new.asked + paths.old.asked == 60 + 10, "ten misses; the comparisons ask both"


@both
def test_disagreements_are_counted_and_told_with_their_input(policy: type[Policy]) -> None:
    paths = Fixture(policy, compare_ratio=1.0)
    paths.new.lies_about = frozenset({3})
    for number in (1, 2, 3, 4):
        paths.decide(number)
    assert paths.counted("disagreements_total") == 1
    assert paths.engine.take_findings() == [
        {
            "what": "disagreement", "detail": 'new: true, old: false, on {"number": 3}', "input": {"number": 3},
            "new": True, "old": False,
        }
    ]  # fmt: skip
    assert paths.engine.take_findings() == []


@both
def test_a_policy_that_is_down_does_not_disagree(policy: type[Policy]) -> None:
    paths = Fixture(policy, compare_ratio=1.0)
    paths.old.is_down = True
    assert paths.decide(2) is True
    assert [paths.counted(name) for name in ("compared_total", "disagreements_total", "compare_errors_total")] == [
        0, 0, 1,
    ]  # fmt: skip


@both
@pytest.mark.parametrize(
    ("options", "option"),
    [
        ({"rollout_ratio": 1.0, "python_policy": None}, "python_policy"),
        ({"rollout_ratio": 0.0, "policy": None}, "policy"),
    ],
)
def test_a_comparison_needs_both_policies(policy: type[Policy], options: dict[str, Any], option: str) -> None:
    message = f'option "{option}" must name an engine of this run, because compare_ratio asks both policies'
    with pytest.raises(EngineError, match=message):
        Fixture(policy, compare_ratio=0.01, **options)


@both
@pytest.mark.parametrize("ratio", [0.0, 1.0])
def test_a_comparison_needs_no_cache_of_the_path_that_takes_no_keys(policy: type[Policy], ratio: float) -> None:
    cache = "cache" if ratio == 0 else "python_cache"
    paths = Fixture(policy, compare_ratio=1.0, rollout_ratio=ratio, **{cache: None})
    assert paths.decide(2) is True
    assert paths.counted("compared_total") == 1


def test_nothing_is_compared_where_nobody_asked_for_it() -> None:
    assert "compared_total" not in Fixture(Policy).engine.counters()


@both
def test_attempts_of_the_parts_are_added_up(policy: type[Policy]) -> None:
    paths = Fixture(policy)
    assert (paths.counted("retries_total"), paths.counted("timeouts_total")) == (4, 2)


@both
def test_closing_closes_every_part_whatever_one_of_them_does(policy: type[Policy]) -> None:
    paths = Fixture(policy)

    def refuse() -> None:
        raise OSError("no")

    paths.new_cache.close = refuse  # type: ignore[method-assign]
    with pytest.raises(ExceptionGroup) as caught:
        paths.do("close")
    assert len(caught.value.exceptions) == 1
    assert paths.new.closed
    assert paths.old.closed


def test_one_part_that_is_awaited_makes_the_engine_awaited() -> None:
    assert not inspect.iscoroutinefunction(Fixture(Policy).engine.operation)
    assert inspect.iscoroutinefunction(Fixture(AsyncPolicy).engine.operation)


def test_recorded_inputs_of_a_policy_are_those_of_the_engine() -> None:
    parts: dict[str, Any] = {"p": Policy(), "q": Policy(inputs="recorded.jsonl"), "c": Cache()}
    engine: Any = make(
        policy="p", cache="c", python_policy="q", python_cache="c", rollout_ratio=0.5, build_part=parts.__getitem__
    )
    assert engine.inputs == "recorded.jsonl"


class Shared(Cache):
    is_shared = True


def test_entries_in_a_shared_cache_bear_the_name_of_the_engine_and_of_the_path() -> None:
    shared = Shared()
    for name in ("five", "fifty"):
        parts: dict[str, Any] = {"p": AsyncPolicy(), "q": Policy(), "c": shared}
        engine: Any = make(
            policy="p", cache="c", python_policy="q", python_cache="c", rollout_ratio=0.5, name=name,
            build_part=parts.__getitem__,
        )  # fmt: skip
        for number in range(20):
            asyncio.run(engine.operation(numbered(number)))
    kept = {key.rpartition("/read/")[0] for key in shared._cache}
    assert kept == {"five/new", "five/old", "fifty/new", "fifty/old"}
    assert shared.counters()["entries"] == 40


@pytest.mark.parametrize("ratio", [0.01, 0.3, 1.0])
def test_a_seed_chooses_its_share_of_the_operations_again_and_again(ratio: float) -> None:
    def chosen(seed: int) -> list[int]:
        comparison = ShadowComparison(ratio, seed)
        return [number for number in range(100_000) if comparison.is_due()]

    assert chosen(1) == chosen(1)
    assert len(chosen(1)) == pytest.approx(100_000 * ratio, rel=0.1)
    assert chosen(1) != chosen(2) or ratio == 1


def test_findings_are_few_however_many_disagreements_there_are() -> None:
    comparison = ShadowComparison(1.0, 1)
    told = 0
    for number in range(1000):
        comparison.note({"number": number}, True, False)
        told += len(comparison.take_findings())
    assert told == MOST_FINDINGS
    assert comparison.counters()["disagreements_total"] == 1000


def test_a_finding_is_a_record_whatever_was_asked_and_answered() -> None:
    comparison = ShadowComparison(1.0, 1)
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    comparison.note({"large": "x" * 100_000}, ["y" * 100_000], UNDEFINED)
    comparison.note({"odd": {1, 2}, "nested": deep}, deep, None)
    for finding in comparison.take_findings():
        assert len(json.dumps(finding)) < 10_000
        assert "\n" not in finding["detail"]
        assert finding["old"] in ("undefined", None)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (True, True, True), (True, 1, False), (0, False, False), (1, 1.0, True), (None, None, True),
        (None, UNDEFINED, False), (False, UNDEFINED, False), (UNDEFINED, UNDEFINED, True), ("a", "a", True),
        ([1, [True]], [1.0, [True]], True), ([1], [True], False), ([1, 2], [2, 1], False), ([1], [1, 1], False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True), ({"a": 1}, {"a": True}, False), ({"a": 1}, {"b": 1}, False),
        ({}, [], False), ("", False, False),
    ],
)  # fmt: skip
def test_decisions_are_the_same_where_json_says_so(one: Any, other: Any, expected: bool) -> None:
    assert same(one, other) is expected
    assert same(other, one) is expected
