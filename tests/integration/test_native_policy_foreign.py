"""Decisions on foreign input: numbers and texts that make regorus panic, documents deeper than a small stack."""

import math
import subprocess
import sys
from typing import Any

import pytest

native = pytest.importorskip("soakd._native")

BEYOND = 2**1024
LARGEST = int(sys.float_info.max)

SHAPES = [
    "count(input.v)",
    "upper(input.v)",
    'startswith(input.v, "a")',
    'endswith("a", input.v)',
    'contains(input.v, "a")',
    'regex.match("^a$", input.v)',
    'regex.match(input.v, "a")',
    'glob.match("*", [], input.v)',
    'glob.match(input.v, [], "a")',
    'object.get({"a": 1}, input.v, 0)',
    "[y | some y in input.v]",
    "data.q[input.v]",
    "{input.v: 1}",
    "input.v * input.v",
    'sprintf("%v %d", [input.v, input.v])',
    "json.marshal(input.v)",
    "json.unmarshal(input.v)",
    "to_number(input.v)",
    "numbers.range(1, input.v)",
    "upper(bits.lsh(1, input.v))",
    'time.parse_ns("2006-01-02", input.v)',
    'time.parse_ns(input.v, "2026-01-02")',
    'time.format([1, "UTC", input.v])',
    "time.parse_duration_ns(input.v)",
    "units.parse(input.v)",
]
NASTY: list[Any] = [
    "",
    "ä",
    "2006-é1-02",
    "1ü",
    "\U0001f600",
    "[ß{",
    "\0",
    "9" * 400,
    2000,
    -1,
    sys.float_info.max,
    LARGEST,
    2**64,
]
INNOCENT: list[Any] = ["a", 1, ["a"], {"a": "a"}]


def policy(value: str, **options: Any) -> Any:
    return native.Policy({"p.rego": f"package p\nx := {value}\n"}, "data.p.x", {"q": {"a": 1}}, **options)


def answer(decide: Any, value: Any) -> Any:
    """Return the decision, or the message of what is raised."""
    try:
        return decide({"v": value})
    except ValueError as error:  # PolicyError is one; a result that cannot be handed on is not
        return str(error)


@pytest.mark.parametrize("shape", SHAPES)
def test_after_a_decision_that_fails_the_next_one_is_as_if_it_were_the_first(
    shape: str, capfd: pytest.CaptureFixture[str]
) -> None:
    first = [answer(policy(shape).decide, value) for value in INNOCENT]
    decide = policy(shape).decide
    for nasty in NASTY:
        answer(decide, nasty)
        with pytest.raises(ValueError, match=r"beyond 1\.8e308"):
            decide({"v": BEYOND})
        assert [answer(decide, value) for value in INNOCENT] == first
    assert capfd.readouterr() == ("", "")


def test_a_number_that_the_policy_itself_makes_too_large_is_an_ordinary_error(
    capfd: pytest.CaptureFixture[str],
) -> None:
    decide = policy("upper(bits.lsh(1, input.v))").decide
    for _ in range(3):
        with pytest.raises(native.PolicyError, match="a number that cannot be written as JSON"):
            decide({"v": 2000})
    assert policy("bits.lsh(1, input.v)").decide({"v": 2000}) == 2**2000
    with pytest.raises(ValueError, match="a key of the result holds a number that cannot be written"):
        policy("{bits.lsh(1, input.v): 1}").decide({"v": 2000})
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("number", [BEYOND, -BEYOND, LARGEST * 10, 10**5000, 1 << 10**6], ids=range(5))
def test_an_integer_beyond_floats_is_refused_wherever_it_stands(number: int) -> None:
    decide = policy("input").decide
    for given, place in (
        (number, r"\$"),
        ([0, number], r"\$\[1\]"),
        ({"a": [{"b": (1, number)}]}, r"\$\.a\[0\]\.b\[1\]"),
    ):
        with pytest.raises(ValueError, match=rf"^{place}: an integer beyond 1\.8e308"):
            decide(given)
        with pytest.raises(ValueError, match=r"an integer beyond 1\.8e308"):
            native.Policy({"p.rego": "package p\nx := 1\n"}, "data.p.x", {"a": given})


@pytest.mark.parametrize("number", [LARGEST, -LARGEST, sys.float_info.max, -sys.float_info.max], ids=range(4))
def test_numbers_as_large_as_the_largest_float_come_back(number: float, capfd: pytest.CaptureFixture[str]) -> None:
    assert policy("input").decide([number]) == [number]
    with pytest.raises(native.PolicyError, match="a number that cannot be written as JSON"):
        policy("count(input.v)").decide({"v": number})
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_data_that_is_no_finite_number_is_refused(number: float) -> None:
    with pytest.raises(ValueError, match=r"^\$\.a\[0\]: must be finite"):
        native.Policy({"p.rego": "package p\nx := 1\n"}, "data.p.x", {"a": [number]})


DEEP = """
import sys, threading
from soakd import _native

def nested(levels, wrap):
    value = 1
    for _ in range(levels):
        value = wrap(value)
    return value

WRAPS = [lambda value: [value], lambda value: {"a": value}, lambda value: (value,), lambda value: [1, value, {"b": 2}]]
VALUES = [
    "input.v", "count(input.v)", "walk(input.v)", "input.v == data.v", "{input.v} | {data.v}", "{input.v: 1}",
    "{input.v[0]: 1}", "json.marshal(input.v)", 'sprintf("%v", [input.v])',
    'object.union({"a": input.v}, {"a": data.v})', 'json.patch(input.v, [{"op": "add", "path": "/-", "value": 1}])',
    "{{{{input.v}}}}", "[[[[input.v]]]]",
]

def ended(value, wrap, levels):
    deep = nested(levels, wrap)
    try:
        policy = _native.Policy({"p.rego": f"package p\\nx := {value}\\n"}, "data.p.x", {"v": deep})
        policy.reload({"p.rego": f"package p\\nx := {value}\\n"}, {"v": deep})
        policy.decide({"v": deep})
        return "decided"
    except ValueError as error:
        return type(error).__name__

def everything():
    for value in VALUES:
        for wrap in WRAPS:
            for levels in (150, 511):
                outcomes.append(ended(value, wrap, levels))
    # What was converted before the error is let go of here, too.
    for last in (object(), 1 << 5000):
        try:
            _native.Policy({"p.rego": "package p\\nx := 1\\n"}, "data.p.x", {"a": nested(500, WRAPS[0]), "b": last})
        except (TypeError, ValueError) as error:
            outcomes.append("refused")
    for deep in ("1 + " * 480 + "1", "(" * 30 + "1" + ")" * 30, "[1, " * 30 + "1" + "]" * 30):
        policy = _native.Policy({"p.rego": f"package p\\nx := {deep}\\n"}, "data.p.x")
        outcomes.append(policy.decide(None) and "decided")

outcomes = []
if sys.argv[1] == "main":
    everything()
else:
    threading.stack_size(int(sys.argv[1]) * 1024)
    thread = threading.Thread(target=everything)
    thread.start()
    thread.join()
print(len(outcomes), outcomes.count("decided"), outcomes.count("refused"))
"""


def outcomes(*argv: str) -> list[int]:
    child = subprocess.run(
        [*argv[:-1], sys.executable, "-c", DEEP, argv[-1]], capture_output=True, text=True, timeout=120, check=False
    )
    assert (child.returncode, child.stderr) == (0, "")
    return [int(word) for word in child.stdout.split()]


@pytest.fixture(scope="module")
def with_stack_enough() -> list[int]:
    return outcomes("main")


def test_most_of_what_is_deep_is_decided_and_not_refused(with_stack_enough: list[int]) -> None:
    total, decided, refused = with_stack_enough
    assert decided > total / 2
    assert refused == 2


@pytest.mark.parametrize("stack_kib", ["32", "64", "256", "512"])
def test_a_thread_with_little_stack_decides_what_any_other_does(stack_kib: str, with_stack_enough: list[int]) -> None:
    assert outcomes(stack_kib) == with_stack_enough


def test_a_process_with_little_stack_decides_what_any_other_does(with_stack_enough: list[int]) -> None:
    assert outcomes("sh", "-c", 'ulimit -s 512 && exec "$@"', "sh", "main") == with_stack_enough


def test_a_patch_that_goes_deeper_with_each_operation_is_refused() -> None:
    """A hundred of these, of 400 levels each, overflow 8 MiB."""
    deep: list[Any] = []
    for _ in range(399):
        deep = [deep]
    operations = [{"op": "add", "path": "/0" * 400 * number + "/-", "value": deep} for number in range(100)]
    with pytest.raises(native.PolicyError, match=r"json\.patch: the result could be nested deeper than 512 levels"):
        policy("count(json.patch([], input.v))").decide({"v": operations})


@pytest.mark.parametrize("levels", [101, 300_000])
def test_a_glob_of_nested_braces_is_refused(levels: int) -> None:
    decide = policy('glob.match(input.v, [], "a")').decide
    with pytest.raises(native.PolicyError, match=r"glob\.match: braces are nested deeper than 100 levels"):
        decide({"v": "{" * levels + "a" + "}" * levels})
    assert decide({"v": "{" * 100 + "a" + "}" * 100}) is True
