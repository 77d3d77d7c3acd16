"""Rego through `soakd._native`: what it promises, and what a hostile policy or input may try."""

import contextlib
import gc
import math
import random
import re
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.policies import generate

native = pytest.importorskip("soakd._native")
Policy, PolicyError, UNDEFINED = native.Policy, native.PolicyError, native.UNDEFINED

ECHO = "package p\nx := input\n"
MANY = 100_000


def policy(source: str, **options: Any) -> Any:
    return Policy({"p.rego": source}, "data.p.x", **options)


class TestADecision:
    def test_tells_undefined_from_false_and_null(self) -> None:
        decide = policy("package p\nx := false if input.a == 1\nx := null if input.a == 2\n").decide
        assert decide({"a": 1}) is False
        assert decide({"a": 2}) is None
        assert decide({"a": 3}) is UNDEFINED

    def test_reads_data_and_other_modules(self) -> None:
        modules = {
            "a.rego": "package p\nimport data.lib\nx := lib.f(data.n)\n",
            "b.rego": "package lib\nf(n) := n + 1\n",
        }
        assert Policy(modules, "data.p.x", {"n": 41}).decide(None) == 42

    @pytest.mark.parametrize(
        ("pattern", "text"),
        [(r"^\d+$", "42"), (r"^\w+$", "ab_1"), (r"a\sb", "a b"), (r"\bx\b", "a x"), ("(?i)^A$", "a"), (r"\p{Lu}", "X")],
    )
    def test_knows_the_classes_of_regular_expressions(self, pattern: str, text: str) -> None:
        """regorus asks the regex crate for none of them."""
        decide = policy("package p\nx := regex.match(input.pattern, input.text)\n").decide
        assert decide({"pattern": pattern, "text": text}) is True
        assert decide({"pattern": pattern, "text": "-"}) is False

    def test_returns_sets_as_sorted_lists_and_other_keys_as_json(self) -> None:
        assert policy('package p\nx := {"set": {3, 1, 2}, 1: "one", [1]: "list"}\n').decide(None) == {
            "set": [1, 2, 3],
            "1": "one",
            "[1]": "list",
        }

    def test_that_fails_raises_and_the_next_one_is_right(self) -> None:
        contradictory = policy("package p\nx := 1 if input.a\nx := 2 if input.b\n")
        with pytest.raises(PolicyError) as caught:
            contradictory.decide({"a": 1, "b": 1})
        assert caught.value.file == "p.rego"
        assert contradictory.decide({"b": 1}) == 2

    @pytest.mark.parametrize("call", ["abs(input)", "startswith(input, input)", "count(1, input)", "input[0] + input"])
    def test_that_fails_over_a_large_operand_says_so_in_one_short_line(self, call: str) -> None:
        with pytest.raises(PolicyError) as caught:
            policy(f"package p\nx := {call}\n").decide(["\u00e9\n" * 70_000])
        assert len(caught.value.message) <= 500
        assert str(caught.value).isprintable()

    def test_of_what_lies_under_a_long_key_says_where_in_a_short_line(self) -> None:
        with pytest.raises(TypeError) as caught:
            policy(ECHO).decide({"k" * 70_000: object()})
        assert str(caught.value) == f"$.{'k' * 57}...: {str(caught.value).partition(': ')[2]}"

    def test_that_runs_away_raises_when_its_time_is_over(self) -> None:
        loop = "[1 | some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); a == b]"
        with pytest.raises(PolicyError, match="time limit"):
            policy(f"package p\nx := count({loop})\n", timeout_s=0.05).decide(None)

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
            lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
            max_leaves=20,
        )
    )
    def test_of_the_input_itself_is_the_input(self, value: Any) -> None:
        assert policy(ECHO).decide(value) == value


class TestAnInput:
    def test_that_refers_to_itself_is_a_value_error(self) -> None:
        ring: dict[str, Any] = {}
        ring["again"] = [ring]
        with pytest.raises(ValueError, match=r"^\$\.again\[0\]\.again.*nested deeper"):
            policy(ECHO).decide(ring)

    def test_of_twenty_thousand_levels_is_a_value_error(self) -> None:
        deep: list[Any] = []
        for _ in range(20_000):
            deep = [deep]
        with pytest.raises(ValueError, match="nested deeper"):
            policy(ECHO).decide(deep)

    def test_of_five_hundred_levels_comes_back(self) -> None:
        deep: list[Any] = []
        for _ in range(500):
            deep = [deep]
        assert policy(ECHO).decide(deep) == deep

    def test_that_unfolds_without_end_is_a_value_error(self) -> None:
        wide: list[Any] = []
        for _ in range(60):
            wide = [wide, wide]
        with pytest.raises(ValueError, match="values in one document"):
            policy(ECHO).decide(wide)

    @pytest.mark.parametrize("number", [2**63, 2**64, -(2**63) - 1, 10**100, -(10**307)])
    def test_beyond_64_bits_is_exact(self, number: int) -> None:
        assert policy(ECHO).decide([number]) == [number]
        assert policy("package p\nx := input + 1\n").decide(number) == number + 1

    @pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
    def test_that_is_no_finite_number_is_a_value_error(self, number: float) -> None:
        with pytest.raises(ValueError, match=r"^\$\.a\[1\]: must be finite"):
            policy(ECHO).decide({"a": [0.5, number]})

    @pytest.mark.parametrize("key", [1, None, (1, 2), b"k"])
    def test_whose_keys_are_no_strings_is_a_type_error(self, key: Any) -> None:
        with pytest.raises(TypeError, match=r"^\$\.a: keys must be str"):
            policy(ECHO).decide({"a": {key: 1}})

    @pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes", 1j])
    def test_of_another_type_is_a_type_error_that_names_the_way(self, value: Any) -> None:
        with pytest.raises(TypeError, match=r"^\$\.a\.b\[2\]: must be"):
            policy(ECHO).decide({"a": {"b": [0, 1, value]}})

    def test_with_a_lone_surrogate_is_a_value_error(self) -> None:
        with pytest.raises(ValueError, match=r"^\$\.a: "):
            policy(ECHO).decide({"a": "\ud800"})


class TestASource:
    def test_with_a_syntax_error_says_where(self) -> None:
        with pytest.raises(PolicyError) as caught:
            policy("package p\n\nx if {\n  input.a >\n}\n")
        error = caught.value
        assert (error.file, error.line) == ("p.rego", 5)
        assert isinstance(error.column, int)
        assert str(error) == f"p.rego:5:{error.column}: {error.message}"

    def test_without_the_rule_is_an_error_at_once(self) -> None:
        with pytest.raises(PolicyError, match="rule"):
            Policy({"p.rego": "package p\ny := 1\n"}, "data.p.x")

    @pytest.mark.parametrize(
        "functions",
        ["f(a) := f(a + 1)", "f(a) := g(a)\ng(a) := f(a)", "f(a) := y if y := g(a) with g as f\ng(a) := a"],
    )
    def test_of_unbounded_recursion_is_refused(self, functions: str) -> None:
        with pytest.raises(PolicyError, match="recursion"):
            policy(f"package p\nx := f(1)\n{functions}\n")

    def test_whose_rules_go_in_circles_fails_when_it_decides(self) -> None:
        with pytest.raises(PolicyError, match="recursion"):
            policy("package p\nx := y\ny := x\n").decide(None)

    @pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ("(", ")"), ("{", "}"), ("abs(", ")"), ("-", "")])
    def test_of_a_hundred_thousand_brackets_is_an_ordinary_error(self, opening: str, closing: str) -> None:
        with pytest.raises(PolicyError) as caught:
            policy(f"package p\nx := {opening * MANY}1{closing * MANY}\n")
        assert caught.value.line == 2

    def test_of_thirty_brackets_that_the_parser_would_chew_for_hours_is_an_error(self) -> None:
        with pytest.raises(PolicyError):
            policy(f"package p\nx := {'[' * 30}1{']' * 30}\n")

    @pytest.mark.parametrize("more", [" + 1", " | {1}", " in [1]", '["a"]'])
    def test_with_an_endless_expression_is_an_ordinary_error(self, more: str) -> None:
        with pytest.raises(PolicyError):
            policy(f"package p\nx := input{more * MANY}\n")

    def test_with_a_chain_of_a_hundred_thousand_rules_is_an_ordinary_error(self) -> None:
        chain = "".join(f"r{number} := r{number + 1}\n" for number in range(MANY))
        with pytest.raises(PolicyError, match="chain"):
            policy(f"package p\nx := r0\n{chain}r{MANY} := 1\n")

    def test_with_a_chain_of_two_thousand_rules_decides_even_on_a_small_stack(self) -> None:
        chain = "".join(f"r{number} := [r{number + 1}]\n" for number in range(2000))
        size = threading.stack_size(256 * 1024)
        results: list[Any] = []
        try:
            deep = policy(f"package p\nx := count(r0)\n{chain}r2000 := 1\n")
            thread = threading.Thread(target=lambda: results.append(deep.decide(None)))
            thread.start()
            thread.join()
        finally:
            threading.stack_size(size)
        assert results == [1]

    def test_of_two_megabytes_and_forty_thousand_lines_is_accepted(self) -> None:
        table = "".join(f'  "key-{number:040}": {number},\n' for number in range(40_000))
        assert len(table) > 2_000_000
        large = policy(f"package p\nx := table[input]\ntable := {{\n{table}}}\n", timeout_s=60)
        assert large.decide(f"key-{7:040}") == 7

    @pytest.mark.parametrize("shape", generate.SHAPES)
    def test_of_any_generated_shape_is_a_policy(self, shape: str) -> None:
        source = generate.policy_text(shape, 1e6, random.Random(1).random)
        generated = Policy({"p.rego": source}, "data.generated.allow", timeout_s=60)
        assert generated.decide({"user": "nobody", "action": "none", "resource": "none"}) is False

    def test_of_many_definitions_of_one_rule_tries_the_last_too(self) -> None:
        source = generate.policy_text("same", 1e6, random.Random(1).random)
        last = dict(re.findall(r'input[.](\w+) == "(.*)"', source[source.rindex("allow if") :]))
        assert set(last) == {"user", "action", "resource"}
        assert Policy({"p.rego": source}, "data.generated.allow", timeout_s=60).decide(last) is True

    def test_above_ten_megabytes_is_refused(self) -> None:
        with pytest.raises(PolicyError, match="larger than"):
            policy(f"package p\nx := 1 # {'a' * (10 << 20)}\n")

    @given(st.text(alphabet='ab1 \n[](){}:=|,."`#-', max_size=120))
    def test_of_any_text_is_a_policy_or_an_ordinary_error(self, text: str) -> None:
        with contextlib.suppress(PolicyError):
            policy(f"package p\nx := 1\n{text}\n")


class TestAReload:
    def test_replaces_modules_and_data(self) -> None:
        reloaded = policy("package p\nx := 1\n")
        reloaded.reload({"p.rego": "package p\nx := data.two\n"}, {"two": 2})
        assert reloaded.decide(None) == 2

    @pytest.mark.parametrize(
        ("modules", "data"),
        [
            ({"p.rego": "package p\nx := \n"}, None),
            ({"p.rego": "package p\ny := 1\n"}, None),
            ({"p.rego": "package p\nx := 2\n"}, [1]),
            ({"p.rego": "package p\nx := 2\n"}, {"a": math.nan}),
        ],
    )
    def test_that_fails_leaves_the_old_policy_in_force(self, modules: dict[str, str], data: Any) -> None:
        reloaded = policy("package p\nx := 1\n")
        with pytest.raises(ValueError):  # noqa: PT011 - PolicyError and plain ones
            reloaded.reload(modules, data)
        assert reloaded.decide(None) == 1

    def test_does_not_grow_memory(self) -> None:
        reloaded = policy(ECHO)
        for _ in range(20):
            reloaded.reload({"p.rego": ECHO})
        before = native.rust_bytes()
        for _ in range(200):
            reloaded.reload({"p.rego": ECHO})
        assert native.rust_bytes() - before < 4096

    def test_of_another_thread_does_not_disturb_decisions(self) -> None:
        shared = policy("package p\nx := 1\n")
        done = threading.Event()

        def reload() -> None:
            for _ in range(100):
                shared.reload({"p.rego": "package p\nx := 1\n"})
            done.set()

        thread = threading.Thread(target=reload)
        thread.start()
        while not done.is_set():
            assert shared.decide(None) == 1
        thread.join()


def test_the_memory_of_a_policy_goes_back_after_it_is_deleted() -> None:
    policy(ECHO).decide({"a": [1, 2, 3]})
    before = native.rust_bytes()
    kept = policy(ECHO, data={"table": {str(number): number for number in range(10_000)}})
    kept.decide({"a": ["b"] * 1000})
    assert native.rust_bytes() - before > 100_000
    del kept
    gc.collect()
    assert native.rust_bytes() - before < 4096


@pytest.mark.parametrize("timeout_s", [0, -1, math.nan, math.inf])
def test_an_impossible_time_limit_is_a_value_error(timeout_s: float) -> None:
    with pytest.raises(ValueError, match="timeout_s"):
        policy(ECHO, timeout_s=timeout_s)
