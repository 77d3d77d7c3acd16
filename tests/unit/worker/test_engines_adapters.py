"""What each adapter does with an operation. The native ones need the extension."""

from pathlib import Path
from typing import Any

import pytest

from soakd.errors import EngineError
from soakd.wire.policies import read_data, read_inputs, read_modules
from soakd.wire.spec import Operation
from soakd.worker.engines.authorize import make as make_authorize
from soakd.worker.engines.cache_python import PythonCache
from soakd.worker.engines.control_leak import LeakControl
from soakd.worker.engines.control_null import NullControl
from soakd.worker.engines.policy_regorus import RegorusPolicy
from soakd.worker.load.mixes import MIXES
from soakd.worker.load.tape import make_operations

POLICIES = Path(__file__).parents[3] / "configs" / "policies"
KEYS = 50


def op(verb: Any, key: str = "a", size_bytes: int = 8) -> Operation:
    return Operation(verb, key, {}, size_bytes)


def native_cache(**options: Any) -> Any:
    pytest.importorskip("soakd._native")
    from soakd.worker.engines.cache_native import NativeCache

    return NativeCache(**options)


def shipped(name: str, **options: Any) -> RegorusPolicy:
    pytest.importorskip("soakd._native")
    policy, data = str(POLICIES / f"{name}.rego"), str(POLICIES / f"{name}.json")
    return RegorusPolicy(policy=[policy], rule=f"data.{name}.allow", data=data, **options)


@pytest.mark.parametrize("make", [native_cache, PythonCache])
def test_a_read_that_misses_stores_and_the_next_one_hits(make: Any) -> None:
    cache = make(capacity=2)
    assert cache.operation(op("read")) is None
    assert cache.operation(op("read")) == bytes(8)
    assert (cache.counters()["hits"], cache.counters()["misses"]) == (1, 1)


@pytest.mark.parametrize("make", [native_cache, PythonCache])
def test_admin_operations_drop_and_writes_store(make: Any) -> None:
    cache = make(capacity=2)
    cache.operation(op("write"))
    assert cache.counters()["entries"] == 1
    cache.operation(op("admin"))
    assert cache.counters()["entries"] == 0
    cache.operation(op("write"))
    cache.close()
    assert cache.counters()["entries"] == 0


@pytest.mark.parametrize("make", [native_cache, PythonCache])
def test_a_cache_stays_within_the_capacity_that_it_declares(make: Any) -> None:
    cache = make(capacity=10)
    for number in range(100):
        cache.operation(op("write", f"k{number}"))
    assert cache.counters()["entries"] == cache.capacity_entries == 10
    assert cache.bytes_per_entry > 0


def test_both_caches_answer_alike_on_the_tape() -> None:
    native, python = native_cache(capacity=KEYS), PythonCache(capacity=KEYS)
    for operation in make_operations(1, MIXES["standard"], 5000):
        native.operation(operation)
        python.operation(operation)
    of_both = ("entries", "hits", "misses")
    assert [native.counters()[name] for name in of_both] == [python.counters()[name] for name in of_both]


def test_a_cache_in_python_forgets_after_the_time_to_live(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("soakd.worker.engines.cache_python.time.monotonic", lambda: now[0])
    cache = PythonCache(capacity=10, ttl=5.0)
    cache.operation(op("write"))
    now[0] = 4.9
    assert cache.operation(op("read")) == bytes(8)
    now[0] = 5.1
    assert cache.operation(op("read")) is None


@pytest.mark.parametrize("bytes_per_operation", [1, 16, 32, 100, 5000])
def test_the_leak_control_leaks_what_it_was_told_to_in_two_halves(bytes_per_operation: float) -> None:
    control = LeakControl(bytes_per_operation=bytes_per_operation)
    for _ in range(20_000):
        control.operation(op("read"))
    half = 20_000 * bytes_per_operation / 2
    assert half - 600 < control.counters()["leaked_python_bytes"] <= half
    assert half - 600 < control.counters()["leaked_native_bytes"] <= half


def test_the_leak_control_leaks_by_the_hour_from_its_first_operation_on() -> None:
    now = [100.0]
    control = LeakControl(bytes_per_hour=2e6, clock_s=lambda: now[0])
    for _ in range(3601):
        control.operation(op("read"))
        now[0] += 1.0
    assert sum(control.counters().values()) == pytest.approx(2e6, rel=0.001)


def test_the_leak_control_keeps_it_all_when_it_is_closed() -> None:
    control = LeakControl(bytes_per_operation=1000)
    for _ in range(100):
        control.operation(op("read"))
    control.close()
    assert sum(len(held) + 33 for held in control._held) == pytest.approx(50_000, rel=0.03)


def test_the_null_control_counts_nothing() -> None:
    control = NullControl()
    control.operation(op("read"))
    assert control.counters() == {}


@pytest.mark.parametrize(("name", "mix"), [("rbac", "standard"), ("rbac", "complex"), ("tenants", "complex")])
def test_the_shipped_policies_allow_some_and_deny_some(name: str, mix: str) -> None:
    engine = shipped(name)
    for operation in make_operations(1, MIXES[mix], 2000):
        assert isinstance(engine.operation(operation), bool)
    counted = engine.counters()
    assert counted["decisions"] == 2000 == counted["allowed"] + counted["denied"]
    assert 0.3 < counted["allowed"] / 2000 < 0.7
    assert counted["undefined"] == 0


@pytest.mark.parametrize(
    ("given", "allowed"),
    [
        ({}, True),
        ({"user": "nobody"}, False),
        ({"action": "delete"}, False),
        ({"classification": "restricted", "mfa": False}, False),
        ({"classification": "restricted", "mfa": True}, True),
        ({"tenant": "elsewhere"}, False),
        ({"user": "boss", "action": "grant"}, True),
        ({"user": "boss", "action": "delete", "document": "kept"}, False),
        ({"user": "boss", "action": "list", "project": "ice"}, True),
        ({"user": "boss", "action": "create", "project": "ice"}, False),
        ({"user": "gone"}, False),
        ({"user": "writer", "action": "update"}, True),
        ({"user": "writer", "action": "update", "project": "ice"}, False),
        ({"user": "writer", "action": "update", "document": "other"}, False),
        ({"user": "clerk", "action": "create", "resource": "invoice"}, False),
    ],
)
def test_denials_beat_grants_and_rights_come_down_the_hierarchy(
    tmp_path: Path, given: dict[str, Any], allowed: bool
) -> None:
    pytest.importorskip("soakd._native")
    data = tmp_path / "data.json"
    data.write_text(
        '{"organizations": {"acme": {"members": {"reader": "viewer", "boss": "owner",'
        ' "gone": "owner", "clerk": "editor"},'
        ' "projects": {"fire": {"frozen": false, "members": {}, "documents":'
        '  {"kept": {"members": {}, "legal_hold": true}, "shared": {"members": {"writer": "editor"}}}},'
        '  "ice": {"frozen": true, "members": {"writer": "manager"}, "documents": {}}}}}, "suspended": ["gone"]}'
    )
    engine = RegorusPolicy(policy=str(POLICIES / "tenants.rego"), rule="data.tenants.allow", data=str(data))
    asked = {
        "user": "reader", "action": "read", "resource": "document", "tenant": "acme", "project": "fire",
        "document": "shared", "classification": "public", "mfa": False,
    }  # fmt: skip
    assert engine.decide(asked | given) is allowed


def test_what_is_undefined_is_counted_apart_from_what_is_denied(tmp_path: Path) -> None:
    pytest.importorskip("soakd._native")
    (tmp_path / "p.rego").write_text("package p\n\nallow if input.user\n\ndeny := false\n")
    engine = RegorusPolicy(policy=str(tmp_path), rule="data.p.allow")
    engine.operation(op("read"))
    assert {name: engine.counters()[name] for name in ("decisions", "denied", "undefined")} == {
        "decisions": 1, "denied": 0, "undefined": 1,
    }  # fmt: skip


def test_a_policy_is_read_again_and_one_that_does_not_compile_leaves_the_old_one_in_force(tmp_path: Path) -> None:
    pytest.importorskip("soakd._native")
    file = tmp_path / "p.rego"
    file.write_text("package p\n\nallow := false\n")
    engine = RegorusPolicy(policy=str(file), rule="data.p.allow", reload_every=60.0)
    file.write_text("package p\n\nallow := true\n")
    assert engine.operation(op("read")) is False
    engine._reload_due_s = 0.0
    assert engine.operation(op("read")) is True
    file.write_text("package p\n\nallow := \n")
    engine._reload_due_s = 0.0
    with pytest.raises(ValueError, match=r"p\.rego"):
        engine.operation(op("read"))
    assert engine.operation(op("read")) is True
    assert engine.counters()["reloads_total"] == 1


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ("package p\n\nallow if {\n", {}, r"p\.rego:\d+:\d+"),
        ("package p\n\nallow := true\n", {"rule": "data.p.other"}, '^rule "data.p.other": not a valid rule path'),
        ("package p\n\nallow := true\n", {"rule": None}, 'option "rule" must be given'),
        ("package p\n\nallow := true\n", {"policy": None}, 'option "policy" must be given'),
        ("package p\n\nallow := true\n", {"policy": "no/such.rego"}, "cannot be read: No such file or directory"),
    ],
)
def test_a_policy_that_will_not_do_is_one_line(
    tmp_path: Path, source: str, options: dict[str, Any], message: str
) -> None:
    pytest.importorskip("soakd._native")
    (tmp_path / "p.rego").write_text(source)
    given = {"policy": str(tmp_path / "p.rego"), "rule": "data.p.allow"} | options
    with pytest.raises(EngineError, match=message) as caught:
        RegorusPolicy(**given)
    assert "\n" not in str(caught.value)


def test_a_folder_gives_its_rego_files_without_their_tests(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for name in ("a.rego", "deep/b.rego", "a_test.rego", "notes.txt"):
        (tmp_path / name).write_text(name)
    assert list(read_modules([str(tmp_path)]).values()) == ["a.rego", "deep/b.rego"]
    (tmp_path / "none").mkdir()
    with pytest.raises(EngineError, match=r"no \.rego file in"):
        read_modules([str(tmp_path / "none")])


@pytest.mark.parametrize(
    ("text", "message"), [("{", "not JSON"), ("[" * 100_000, "not JSON"), ("[]", "must be a JSON object, got list")]
)
def test_data_that_is_no_object_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "data.json").write_text(text)
    with pytest.raises(EngineError, match=message):
        read_data(str(tmp_path / "data.json"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no inputs in it"),
        ('{"a": 1}\n\n[1]\n', r"inputs.jsonl:3: must be a JSON object, got list"),
        ('{"a": 1}\n{"a": \n', r"inputs.jsonl:2: not JSON"),
        ('{"a": NaN}\n', r"inputs.jsonl:1: not JSON: NaN is not a JSON number"),
    ],
)
def test_recorded_inputs_are_refused_with_their_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "inputs.jsonl").write_text(text, encoding="utf-8")
    with pytest.raises(EngineError, match=message):
        read_inputs(str(tmp_path / "inputs.jsonl"))


def test_recorded_inputs_are_read_line_by_line(tmp_path: Path) -> None:
    (tmp_path / "inputs.jsonl").write_text('{"a": 1}\n\n{"a": "\u2028"}\n', encoding="utf-8")
    assert read_inputs(str(tmp_path / "inputs.jsonl")) == [{"a": 1}, {"a": "\u2028"}]


class Even:
    """A policy that allows keys whose number is even."""

    def __init__(self) -> None:
        self.asked = 0

    def decide(self, given: Any) -> bool:
        self.asked += 1
        return bool(given["number"] % 2 == 0)

    def start(self) -> None: ...
    def close(self) -> None: ...
    def operation(self, op: Operation) -> None: ...
    def counters(self) -> dict[str, float]:
        return {}


def authorize(rollout_ratio: float) -> Any:
    parts: dict[str, Any] = {"new": Even(), "old": Even(), "c1": PythonCache(), "c2": PythonCache()}
    return make_authorize(
        policy="new", cache="c1", python_policy="old", python_cache="c2", rollout_ratio=rollout_ratio,
        build_part=parts.__getitem__,
    )  # fmt: skip


def numbered(number: int, verb: Any = "read") -> Operation:
    return Operation(verb, f"k{number}", {"number": number}, 8)


def share_of_new(engine: Any) -> float:
    counted = engine.counters()
    new = counted.get("new_hits", 0) + counted.get("new_misses", 0)
    return float(new / sum(value for name, value in counted.items() if name.endswith(("hits", "misses"))))


def test_a_decision_is_asked_for_once_and_denials_are_remembered_too() -> None:
    engine = authorize(1.0)
    assert [engine.operation(numbered(n)) for n in (1, 2, 1, 2)] == [False, True, False, True]
    counted = {name: value for name, value in engine.counters().items() if not name.startswith("old_")}
    assert counted == {
        "new_hits": 2, "new_misses": 2, "new_entries": 2, "entries": 2, "served_by_other_total": 0,
    }  # fmt: skip


def test_an_admin_operation_decides_anew() -> None:
    engine = authorize(1.0)
    for _ in range(3):
        engine.operation(numbered(1, "admin"))
    assert engine.counters()["new_misses"] == 3


@pytest.mark.parametrize(("ratio", "expected"), [(0.0, 0.0), (0.05, 0.05), (0.5, 0.5), (1.0, 1.0)])
def test_the_rollout_ratio_is_the_share_of_keys_on_the_new_path(ratio: float, expected: float) -> None:
    engine = authorize(ratio)
    for number in range(5000):
        assert engine.operation(numbered(number)) is (number % 2 == 0)
    assert share_of_new(engine) == pytest.approx(expected, abs=0.02)


def test_a_key_on_the_new_path_stays_there_when_the_ratio_grows() -> None:
    def on_new(ratio: float) -> set[int]:
        engine = authorize(ratio)
        keys = set()
        for number in range(1000):
            before = engine.counters().get("new_misses", 0)
            engine.operation(numbered(number))
            if engine.counters().get("new_misses", 0) > before:
                keys.add(number)
        return keys

    assert on_new(0.05) < on_new(0.5) < on_new(1.0)


def test_a_part_that_is_no_cache_is_refused() -> None:
    parts: dict[str, Any] = {"p": Even(), "c": Even()}
    with pytest.raises(EngineError, match="Even has no get or put or drop"):
        make_authorize(policy="p", cache="c", build_part=parts.__getitem__)


def test_a_path_that_no_key_takes_need_not_be_named() -> None:
    parts: dict[str, Any] = {"p": Even(), "c": PythonCache()}
    engine = make_authorize(python_policy="p", python_cache="c", rollout_ratio=0.0, build_part=parts.__getitem__)
    assert engine.operation(numbered(2)) is True
