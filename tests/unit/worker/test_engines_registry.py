"""From a spec to an engine, or to one line that says why not."""

import gc
import inspect
import re
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from soakd.errors import EngineError
from soakd.setup.engine_kinds import KINDS
from soakd.wire.spec import Operation, WorkerSpec
from soakd.worker.engines import build, is_async
from soakd.worker.engines.failures import one_line
from soakd.worker.engines.registry import ADAPTERS, adapter_of

OP = Operation("read", "key", {"user": "user-001"}, 64)


def spec(kind: str = "python", **fields: Any) -> WorkerSpec:
    return WorkerSpec(
        engine="mine", kind=kind, role="subject", segment=0, seed=1, rate_per_s=100, profile="target", mix="standard",
        in_flight=8, phases=(), sample_every_s=1.0, collect_every_s=None, snapshot_every_s=None, latency_every_s=60.0,
        **fields,
    )  # fmt: skip


@pytest.fixture
def own(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Any]:
    """Write a module of somebody's own; return a function that builds an engine from it."""
    path = list(sys.path)

    def build_from(source: str, factory: str = "make", **options: Any) -> Any:
        name = f"own_{abs(hash(request.node.name))}_{len(list(tmp_path.iterdir()))}"
        (tmp_path / f"{name}.py").write_text(source, encoding="utf-8")
        return build(spec(factory=f"{name}:{factory}", path=(str(tmp_path),), options=options))

    yield build_from
    sys.path[:] = path


INTERNAL = {"build_part", "clock_s", "name", "seed"}
"""What adapters are given by the registry or by tests, never by a configuration."""


def worker_options(kind: str) -> dict[str, Any]:
    """The options of a kind that its workers are told of, with their defaults."""
    return {name: option.default for name, option in KINDS[kind].options.items() if not option.for_server}


def test_every_kind_of_the_configuration_has_an_adapter_that_takes_its_options() -> None:
    assert set(ADAPTERS) == set(KINDS)
    for kind in ADAPTERS:
        if not KINDS[kind].needs_factory:
            known = set(inspect.signature(adapter_of(kind)).parameters) - INTERNAL
            assert known == set(worker_options(kind)), kind


def test_the_defaults_of_the_adapters_are_those_of_the_configuration() -> None:
    for kind in ADAPTERS:
        parameters = inspect.signature(adapter_of(kind)).parameters
        for name, default in worker_options(kind).items():
            assert parameters[name].default == default, (kind, name)


def test_an_unknown_kind_names_the_known_ones() -> None:
    with pytest.raises(EngineError, match=r'no engine of kind "cache\.rust"; kinds: authorize, cache\.native, .*'):
        build(spec("cache.rust"))


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("cache.python", {"size": 1}, 'kind "cache.python": unknown option "size"; known options: capacity, ttl'),
        ("control.null", {"size": 1}, 'kind "control.null": unknown option "size"; it has none'),
        ("control.leak", {}, "give either bytes_per_operation or bytes_per_hour"),
        ("control.leak", {"bytes_per_operation": 1, "bytes_per_hour": 1}, "give either"),
        ("authorize", {}, 'option "cache" must name an engine of this run'),
        ("authorize", {"cache": "c", "policy": "p"}, 'no engine "c" in this run; engines: '),
    ],
)
def test_wrong_options_are_one_line(kind: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(EngineError, match=re.escape(message)) as caught:
        build(spec(kind, options=options))
    assert "\n" not in str(caught.value)


def test_an_interpreter_without_the_adapters_package_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cachetools", None)
    with pytest.raises(EngineError, match=r'kind "cache\.python" does not work under .*cachetools'):
        build(spec("cache.python"))


@pytest.mark.parametrize(
    ("source", "is_async_engine"),
    [
        ("def make(): return lambda: 1", False),
        ("def make(): return lambda op: op.key", False),
        ("def make():\n async def work(): return 1\n return work", True),
        ("def make():\n async def work(op): return op.key\n return work", True),
        ("def make(): return Mine()\nclass Mine:\n async def __call__(self, op): return 1", True),
        ("def make(): return Mine()\nclass Mine:\n def operation(self): return 1", False),
        ("def make(): return Mine()\nclass Mine:\n async def operation(self, op): return 1", True),
        ("class make:\n def operation(self, op): return op.key", False),
        ("import time\ndef make(): return time.monotonic", False),
        ("import functools\ndef make(): return functools.partial(lambda a, op: a, 1)", False),
        ("import functools\nasync def work(a, op): return a\ndef make(): return functools.partial(work, 1)", True),
        (
            "import functools\nclass A:\n async def __call__(self, a): 1\ndef make(): return functools.partial(A(), 1)",
            True,
        ),
        ("class A:\n async def work(self): 1\ndef make(): return A().work", True),
    ],
)
def test_a_callable_or_an_object_sync_or_async_will_do(own: Any, source: str, is_async_engine: bool) -> None:
    engine = own(source)
    assert is_async(engine) is is_async_engine
    result = engine.operation(OP)
    if is_async_engine:
        with pytest.raises(StopIteration):
            result.send(None)
    assert engine.counters() == {}
    assert engine.start() is None
    assert engine.close() is None


@pytest.mark.parametrize(
    ("parameters", "got"),
    [
        ("", ()), ("op", ("key",)), ("anything", ("key",)), ("op=None", ("key",)), ("operation=None", ("key",)),
        ("n=10", (10,)), ("*args", ()), ("**kwargs", ()), ("op, /", ("key",)), ("op, n=10", ("key", 10)),
    ],
)  # fmt: skip
def test_an_operation_is_passed_where_it_is_wanted(own: Any, parameters: str, got: tuple[object, ...]) -> None:
    source = f"SEEN = []\ndef work({parameters}): SEEN.append(tuple(locals().values()))\ndef make(): return work"
    engine = own(source)
    engine.operation(OP)
    (seen,) = sys.modules[engine._made.__module__].SEEN
    assert tuple(v.key if isinstance(v, Operation) else v for v in seen if v not in ((), {})) == got


def test_options_are_the_keyword_arguments_of_make(own: Any) -> None:
    assert own("def make(a, b=2): return lambda: (a, b)", a=1).operation(OP) == (1, 2)


def test_an_object_is_started_closed_and_counted_and_its_bounds_are_seen(own: Any) -> None:
    engine = own(
        "class make:\n"
        " capacity_entries = 5\n bytes_per_entry = 7.5\n did = ''\n"
        " def start(self): self.did += 's'\n"
        " def operation(self): self.did += 'o'\n"
        " def close(self): self.did += 'c'\n"
        " def counters(self): return {'operations': len(self.did)}\n"
    )
    made = engine._made
    engine.start()
    engine.operation(OP)
    assert engine.counters() == {"operations": 2}
    assert (engine.capacity_entries, engine.bytes_per_entry) == (5, 7.5)
    engine.close()
    assert made.did == "soc"
    assert made not in vars(engine).values()


@pytest.mark.parametrize(
    ("source", "factory", "message"),
    [
        ("import no_such_package", "make", "does not import: ModuleNotFoundError: No module named 'no_such_package'"),
        ("def make(:", "make", "does not import: SyntaxError: invalid syntax"),
        ("raise SystemExit('go away')", "make", "does not import: SystemExit: go away"),
        ("x = 1", "make", 'has no "make"'),
        ("def make(): return print", "mkae", 'has no "mkae" (did you mean "make"?)'),
        ("def make(a=1, *, b): 1", "make", "options: missing a required argument: 'b'; make takes (a=1, *, b)"),
        ("def make():\n\n raise KeyError('x')", "make", "make() raised KeyError: 'x' ("),
        ("make = 1", "make", '"make" cannot be called: it is int'),
        ("def make(): raise KeyError('x')", "make", "make() raised KeyError: 'x'"),
        ("def make(): raise ValueError('one\\ntwo')", "make", "make() raised ValueError: one"),
        (
            "def make(a): return a",
            "make",
            "options: missing a required argument: 'a'; make takes (a)",
        ),
        ("def make(): return 5", "make", "must return a callable or an object with operation(op), got int"),
        ("def make(): return None", "make", "must return a callable or an object with operation(op), got NoneType"),
        ("class A: pass\ndef make(): return A", "make", "got the class A"),
        ("async def make(): return print", "make", "make must not be async"),
        ("def make(): raise ValueError('\\n\\ntwo\\nthree')", "make", "make() raised ValueError: two three"),
        ("def make():\n def f(): yield\n return f", "make", "must not be a generator function"),
        ("def make():\n async def f(): yield\n return f", "make", "must not be a generator function"),
        ("class make:\n def __call__(self): yield", "make", "must not be a generator function"),
        ("class make:\n def operation(self): yield", "make", "must not be a generator function"),
        ("class make:\n def operation(self): 1\n async def counters(self): 1", "make", "counters() must not be async"),
        ("def make(): return lambda a, b: 1", "make", "takes nothing or one Operation; this one needs a, b"),
        ("def make():\n def f(*, a): pass\n return f", "make", "takes nothing or one Operation; this one needs a"),
    ],
)
def test_a_factory_that_will_not_do_is_one_line_of_its_own(own: Any, source: str, factory: str, message: str) -> None:
    with pytest.raises(EngineError, match=re.escape(message)) as caught:
        own(source, factory)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("factory", [None, "", "module"])
def test_a_factory_without_a_place_is_refused(factory: str | None) -> None:
    with pytest.raises(EngineError, match=r'factory: must be "package\.module:make"'):
        build(spec(factory=factory))


def test_import_folders_go_in_front_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    for _ in range(2):
        build(spec("control.null", path=(str(tmp_path),)))
    assert sys.path[0] == str(tmp_path)
    assert sys.path.count(str(tmp_path)) == 1


ASYNC_WORK = "RAN = []\nasync def work(): RAN.append(1)\n"
WORDS = "nothing of it has run"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (ASYNC_WORK + "def make(): return lambda: work()", "a coroutine that is never awaited"),
        (ASYNC_WORK + "def make(): return lambda op: work()", "a coroutine that is never awaited"),
        (
            ASYNC_WORK + "import functools\n"
            "def logged(f):\n @functools.wraps(f)\n def inner(*a): return f(*a)\n return inner\n"
            "def make(): return logged(work)",
            "a coroutine that is never awaited",
        ),
        (ASYNC_WORK + "class make:\n def operation(self, op): return work()", "a coroutine that is never awaited"),
        ("def make(): return lambda: (x for x in ())", "a generator that is never iterated"),
        ("async def work(): yield\ndef make(): return lambda: work()", "a generator that is never iterated"),
        (
            "class A:\n def __await__(self): yield\ndef make(): return lambda: A()",
            "an awaitable (A) that is never awaited",
        ),
    ],
)
@pytest.mark.filterwarnings("error")
def test_an_operation_whose_body_never_runs_is_an_error_each_time(own: Any, source: str, message: str) -> None:
    engine = own(source)
    for _ in range(3):
        with pytest.raises(TypeError, match=re.escape(f"operation returned {message}: {WORDS}")):
            engine.operation(OP)


@pytest.mark.parametrize("parameters", ["", "op"])
def test_an_async_operation_that_gives_another_coroutine_is_an_error_too(own: Any, parameters: str) -> None:
    engine = own(f"{ASYNC_WORK}async def outer({parameters}): return work()\ndef make(): return outer")
    with pytest.raises(TypeError, match="a coroutine that is never awaited"):
        engine.operation(OP).send(None)


def test_results_of_many_types_pass_and_few_of_the_types_are_kept(own: Any) -> None:
    engine = own("def make(): return lambda: type('A', (), {})()")
    types = [weakref.ref(type(engine.operation(OP))) for _ in range(200)]
    gc.collect()
    assert 0 < sum(each() is not None for each in types) < 65


def test_a_start_close_or_counters_that_does_nothing_is_an_error(own: Any) -> None:
    engine = own(
        ASYNC_WORK + "class make:\n"
        " def operation(self): pass\n"
        " def start(self): yield\n"
        " async def close(self): yield\n"
        " def counters(self): return work()\n"
    )
    for name in ("start", "close", "counters"):
        with pytest.raises(TypeError, match=re.escape(f"{name}() returned a ")):
            getattr(engine, name)()


FINDER = """
class Finder:
    operation = print
    def take_findings(self):
        {body}
make = Finder
"""


@pytest.mark.parametrize(
    ("body", "findings"),
    [
        ("return None", []),
        ('return [{"what": "odd", "detail": "a", "at": (1, 2)}]', [{"what": "odd", "detail": "a", "at": [1, 2]}]),
        ('return [{"what": "odd"}]', 'TypeError: a finding is a dict with the texts "what" and "detail", got dict'),
        ('return ["odd"]', 'TypeError: a finding is a dict with the texts "what" and "detail", got str'),
        (
            'return [{"what": "odd", "detail": "a", "at": {1}}]',
            "TypeError: Object of type set is not JSON serializable",
        ),
        ("raise OSError('no')", "OSError: no"),
        *(
            (
                f'return [{{"what": "{what}", "detail": "forged"}}]',
                f'ValueError: "what": "{what}" is what soakd itself calls an incident: name it otherwise',
            )
            for what in ("crash", "restart", "server_recovered", "server_of_my_own", "findings_failed")
        ),
    ],
)
def test_what_an_engine_finds_is_told_and_a_finder_that_fails_harms_nobody(own: Any, body: str, findings: Any) -> None:
    found = own(FINDER.format(body=body)).take_findings()
    if isinstance(findings, str):
        findings = [{"what": "findings_failed", "detail": f"take_findings(): {findings}"}]
    assert found == findings


def test_an_async_start_is_given_to_whoever_awaits_it(own: Any) -> None:
    engine = own("class make:\n def operation(self): pass\n async def start(self): pass")
    with pytest.raises(StopIteration):
        engine.start().send(None)


@pytest.mark.parametrize("name", ["capacity_entries", "bytes_per_entry", "capacity_bytes"])
@pytest.mark.parametrize(
    ("value", "got"),
    [
        ("float('nan')", "nan"), ("float('inf')", "inf"), ("-1", "-1"), ("0", "0"), ("True", "True"), ("'5'", "'5'"),
        ("10**9999", "int"), ("[1]", "list"),
    ],
)  # fmt: skip
def test_a_bound_that_is_no_number_above_0_is_refused_by_name(own: Any, name: str, value: str, got: str) -> None:
    with pytest.raises(EngineError, match=f"^{name}: must be a number above 0, got {re.escape(got)}$"):
        own(f"class make:\n {name} = {value}\n def operation(self): pass")


def test_bounds_become_numbers_of_pythons_own_and_none_is_no_bound(own: Any) -> None:
    engine = own(
        "import numpy\nclass make:\n capacity_entries = numpy.int64(5)\n bytes_per_entry = numpy.float32(0.5)\n"
        " capacity_bytes = None\n def operation(self): pass"
    )
    assert (type(engine.capacity_entries), engine.capacity_entries) == (int, 5)
    assert (type(engine.bytes_per_entry), engine.bytes_per_entry) == (float, 0.5)
    assert not hasattr(engine, "capacity_bytes")


@pytest.mark.parametrize("text", ["'x' * 8_000_000", "'x\\n' * 4_000_000"])
def test_a_huge_message_of_a_factory_is_cut(own: Any, text: str) -> None:
    with pytest.raises(EngineError, match=r"make\(\) raised ValueError: x.*\.\.\. \(\w+\.py:1\)$") as caught:
        own(f"def make(): raise ValueError({text})")
    assert len(str(caught.value)) < 400
    assert "\n" not in str(caught.value)


def test_notes_of_an_exception_do_not_hide_its_message() -> None:
    error = ValueError("the message")
    error.add_note("a note")
    assert one_line(error) == "ValueError: the message"
