"""The engines that talk to a server, with real servers."""

import asyncio
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from soakd.errors import BackendError, EngineError
from soakd.wire.spec import Operation
from soakd.worker.engines.cache_redis import RedisCache
from soakd.worker.engines.policy_opa import OpaPolicy
from soakd.worker.engines.undefined import UNDEFINED
from soakd.worker.load.mixes import MIXES
from soakd.worker.load.tape import make_operations
from tests.servers import Server, free_port, on_a_loop, opa_server, redis_server, until

pytestmark = pytest.mark.integration

POLICIES = Path(__file__).parent.parent.parent / "configs" / "policies"
RBAC: dict[str, Any] = {
    "policy": [str(POLICIES / "rbac.rego")], "rule": "data.rbac.allow", "data": str(POLICIES / "rbac.json"),
}  # fmt: skip


@pytest.fixture(scope="module")
def opa() -> Iterator[Server]:
    with opa_server() as server:
        yield server


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


def server_of(kind: str, folder: Path) -> AbstractContextManager[Server]:
    return opa_server() if kind == "opa" else redis_server(folder)


def engine_of(kind: str, **options: Any) -> Any:
    return OpaPolicy(**RBAC, **options) if kind == "opa" else RedisCache(**options)


def op(verb: Any, key: str = "a", given: Any = None, size_bytes: int = 8) -> Operation:
    return Operation(verb, key, given or {}, size_bytes)


@on_a_loop
async def test_opa_allows_some_denies_some_and_counts_them(opa: Server) -> None:
    engine = OpaPolicy(**RBAC, url=opa.url)
    await engine.start()
    for operation in make_operations(1, MIXES["standard"], 300):
        assert isinstance(await engine.operation(operation), bool)
    await engine.close()
    counted = engine.counters()
    assert counted["decisions"] == 300 == counted["allowed"] + counted["denied"]
    assert 0.3 < counted["allowed"] / 300 < 0.7
    assert counted["connection_errors_total"] == counted["retries_total"] == counted["timeouts_total"] == 0


@on_a_loop
async def test_a_server_that_was_started_with_the_policy_finds_the_same_pushed_again() -> None:
    with opa_server(RBAC["policy"][0], RBAC["data"]) as server:
        engine = OpaPolicy(**RBAC, url=server.url)
        await engine.start()
        assert await engine.decide({"user": "nobody", "action": "read", "resource": "invoice"}) is False
        await engine.close()


@on_a_loop
async def test_undefined_is_neither_false_nor_null(opa: Server, tmp_path: Path) -> None:
    (tmp_path / "u.rego").write_text(
        "package u\n\nallow if input.user\n\nnothing := null\n\nno := false\n", encoding="utf-8"
    )
    answers = []
    for rule in ("allow", "nothing", "no", "absent"):
        engine = OpaPolicy(policy=str(tmp_path), rule=f"data.u.{rule}", url=opa.url)
        await engine.start()
        answers.append(await engine.operation(op("read")))
        assert engine.counters()["undefined"] == (answers[-1] is UNDEFINED)
        await engine.close()
    assert answers == [UNDEFINED, None, False, UNDEFINED]


@on_a_loop
async def test_the_policy_is_pushed_again_while_decisions_go_on(opa: Server, tmp_path: Path) -> None:
    file = tmp_path / "r.rego"
    file.write_text("package r\n\nversion := 1\n", encoding="utf-8")
    engine = OpaPolicy(policy=str(file), rule="data.r.version", url=opa.url, reload_every=0.2)
    await engine.start()
    assert await engine.operation(op("read")) == 1
    file.write_text("package r\n\nversion := 2\n", encoding="utf-8")
    async with asyncio.timeout(90):
        while engine.counters()["reloads_total"] < 3:
            assert await engine.operation(op("read")) in (1, 2)
    assert await engine.operation(op("read")) == 2

    file.write_text("package r\n\nversion := \n", encoding="utf-8")

    async def is_refused() -> bool:
        try:
            await engine.operation(op("read"))
        except EngineError as error:
            return "r.rego:6:" in str(error)
        return False

    await until(is_refused)
    assert await engine.operation(op("read")) == 2, "what does not compile leaves the old policy in force"
    assert engine.counters()["reload_errors_total"] >= 1
    await engine.close()


@on_a_loop
async def test_modules_that_need_each_other_are_pushed_in_an_order_that_compiles(opa: Server, tmp_path: Path) -> None:
    (tmp_path / "a.rego").write_text("package first\n\nallow if data.second.even(input.n)\n", encoding="utf-8")
    (tmp_path / "b.rego").write_text("package second\n\neven(n) if n % 2 == 0\n", encoding="utf-8")
    engine = OpaPolicy(policy=str(tmp_path), rule="data.first.allow", url=opa.url)
    await engine.start()
    assert await engine.decide_many([{"n": 2}, {"n": 3}]) == [True, UNDEFINED]
    await engine.close()


@on_a_loop
async def test_a_policy_that_the_server_rejects_is_one_line(opa: Server, tmp_path: Path) -> None:
    (tmp_path / "bad.rego").write_text("package bad\n\nallow if no_such_function(1)\n", encoding="utf-8")
    engine = OpaPolicy(policy=str(tmp_path), rule="data.bad.allow", url=opa.url)
    with pytest.raises(EngineError, match=r"bad\.rego:3:10: undefined function no_such_function$") as caught:
        await engine.start()
    assert "\n" not in str(caught.value)
    await engine.close()


@on_a_loop
async def test_a_batch_with_failing_items_returns_the_rest(opa: Server) -> None:
    engine = OpaPolicy(**RBAC, url=opa.url)
    await engine.start()
    answers = await engine.decide_many([{"user": "user-001"}, {"user": float("nan")}, {"user": "user-002"}])
    await engine.close()
    assert [type(answer) for answer in answers] == [bool, ValueError, bool]


@pytest.mark.parametrize("kind", ["opa", "unix", "tcp"])
@on_a_loop
async def test_a_server_that_is_not_there_is_one_line(kind: str, tmp_path: Path) -> None:
    port = free_port()
    url = {"opa": f"http://127.0.0.1:{port}", "unix": f"unix://{tmp_path}/none.sock"}.get(
        kind, f"redis://:secret@127.0.0.1:{port}/0"
    )
    engine = engine_of(kind, url=url, retries=0)
    with pytest.raises(BackendError) as caught:
        await engine.start()
    await engine.close()
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)
    assert (str(port) if kind != "unix" else "none.sock") in str(caught.value)


@on_a_loop
async def test_redis_answers_on_the_tape_as_a_cache_in_process_does(redis: Server) -> None:
    from soakd.worker.engines.cache_python import PythonCache

    there, here = RedisCache(url=redis.url), PythonCache(capacity=100_000)
    await there.start()
    for operation in make_operations(1, MIXES["standard"], 2000):
        assert await there.operation(operation) == here.operation(operation) or operation.verb != "read"
    assert {name: there.counters()[name] for name in ("hits", "misses", "inserts")} == {
        name: here.counters()[name] for name in ("hits", "misses", "inserts")
    }

    async def are_counted() -> bool:
        return there.counters()["entries"] == here.counters()["entries"]

    await until(are_counted)
    await there.close()


@pytest.mark.parametrize("value", [True, False, 0, "", [], {"a": [1, None]}, b"", b"bytes", UNDEFINED], ids=repr)
@on_a_loop
async def test_redis_gives_back_what_was_put(redis: Server, value: Any) -> None:
    cache = RedisCache(url=redis.url)
    await cache.start()
    await cache.put("given back", value)
    got = await cache.get("given back")
    assert (type(got), got) == (type(value), value)
    assert await cache.drop("given back") is True
    assert await cache.get("given back") is None
    await cache.close()


@on_a_loop
async def test_redis_forgets_after_the_time_to_live(redis: Server) -> None:
    cache = RedisCache(url=redis.url, ttl=0.05)
    await cache.start()
    await cache.put("short", b"x")

    async def is_gone() -> bool:
        return await cache.get("short") is None

    await until(is_gone)
    await cache.close()


@on_a_loop
async def test_a_redis_that_is_full_refuses_and_the_operation_fails(tmp_path: Path) -> None:
    with redis_server(tmp_path, "--maxmemory", "1500kb", "--maxmemory-policy", "noeviction") as server:
        cache = RedisCache(url=server.url)
        await cache.start()
        from redis.exceptions import OutOfMemoryError

        async def fill() -> None:
            for number in range(10_000):
                await cache.put(f"k{number}", bytes(10_000))

        with pytest.raises(OutOfMemoryError):
            await fill()
        assert cache.counters()["retries_total"] == 0, "a refusal is an answer"
        await cache.close()


@pytest.mark.parametrize("kind", ["opa", "redis"])
@on_a_loop
async def test_a_server_that_dies_gives_counted_errors_and_then_recovery(kind: str, tmp_path: Path) -> None:
    with server_of(kind, tmp_path) as server:
        engine = engine_of(kind, url=server.url)
        await engine.start()
        operation = op("read", given={"user": "user-001", "action": "read", "resource": "invoice"})
        await engine.operation(operation)
        before = await engine.operation(operation)
        server.kill()
        for _ in range(5):
            with pytest.raises(BackendError):
                await engine.operation(operation)
        counted = engine.counters()
        assert counted["connection_errors_total"] == 15, "an operation and two retries, five times"
        assert counted["retries_total"] == 10
        server.start()

        async def is_as_before() -> bool:
            return bool(await engine.operation(operation) == before)

        await until(is_as_before)  # an OPA comes back empty: the policy is pushed again, in a moment
        assert await engine.operation(operation) == before
        await engine.close()


@pytest.mark.parametrize("kind", ["opa", "redis"])
@on_a_loop
async def test_a_server_that_hangs_is_a_time_out_and_not_a_hang(kind: str, tmp_path: Path) -> None:
    with server_of(kind, tmp_path) as server:
        engine = engine_of(kind, url=server.url, timeout=1.0, retries=1, connections=2)
        await engine.start()
        server.freeze()
        answers = await asyncio.gather(*(engine.operation(op("read")) for _ in range(8)), return_exceptions=True)
        server.thaw()
        assert {type(answer) for answer in answers} == {BackendError}
        assert engine.counters()["timeouts_total"] == 16
        assert engine.counters()["retries_total"] == 8
        await engine.operation(op("read"))
        await engine.close()


@pytest.mark.parametrize("kind", ["opa", "redis"])
@on_a_loop
async def test_operations_that_are_cancelled_in_flight_take_no_connection_with_them(kind: str, tmp_path: Path) -> None:
    """The driver does so at the end of a phase with what a hanging server has not answered."""
    with server_of(kind, tmp_path) as server:
        engine = engine_of(kind, url=server.url, timeout=20.0, retries=0, connections=2)
        await engine.start()
        for pause_s in (0.0, 0.001, 0.01, 0.1):
            server.freeze()
            tasks = [asyncio.ensure_future(engine.operation(op("read", f"k{number}"))) for number in range(10)]
            await asyncio.sleep(pause_s)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            server.thaw()
            answers = await asyncio.gather(*(engine.operation(op("write", f"k{n}")) for n in range(10)))
            assert len(answers) == 10
            assert await engine.operation(op("write")) == answers[0], "no answer of somebody else's"
        await engine.close()


@on_a_loop
async def test_answers_belong_to_their_questions_after_time_outs(tmp_path: Path) -> None:
    """A connection with an answer still to come is not used again: the next question would get it."""
    with redis_server(tmp_path) as server:
        cache = RedisCache(url=server.url, timeout=1.0, retries=0, connections=1)
        await cache.start()
        for number in range(5):
            await cache.put(f"k{number}", number)
        for number in range(5):
            server.freeze()
            with pytest.raises(BackendError):
                await cache.get(f"k{number}")
            server.thaw()
            assert [await cache.get(f"k{n}") for n in range(5)] == list(range(5))
        await cache.close()


@on_a_loop
async def test_a_client_that_takes_a_cancellation_for_a_time_out_does_not_keep_close_from_returning(
    redis: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    from redis.exceptions import TimeoutError as RedisTimeout

    from soakd.worker.engines import cache_redis

    monkeypatch.setattr(cache_redis, "COUNT_EVERY_S", 0.0)
    cache = RedisCache(url=redis.url)
    await cache.start()
    asked = asyncio.Event()

    async def swallow() -> int:
        asked.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise RedisTimeout("as redis-py does") from None
        return 0

    monkeypatch.setattr(cache._client, "dbsize", swallow)
    await asked.wait()
    await asyncio.wait_for(cache.close(), 20.0)
