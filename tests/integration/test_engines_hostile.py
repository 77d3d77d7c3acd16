"""Servers that answer anything: each answer is an error of its operation, and nothing stays behind of it."""

import asyncio
import contextlib
import gc
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

import pytest
from redis.exceptions import RedisError

from soakd.errors import BackendError, EngineError, SoakdError
from soakd.wire.spec import Operation
from soakd.worker.engines.cache_redis import RedisCache
from soakd.worker.engines.opa_client import MOST_ANSWER_BYTES
from soakd.worker.engines.policy_opa import OpaPolicy
from tests.servers import on_a_loop, server_saying

pytestmark = pytest.mark.integration

Say = Callable[[asyncio.StreamWriter, bytes], Awaitable[None]]

OP = Operation("read", "a", {"user": "user-001"}, 8)
REFUSED = (SoakdError, RedisError, ValueError, RecursionError)
HEALTHY = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
PART = b"x" * (1 << 16)


E = TypeVar("E", OpaPolicy, RedisCache)


@contextlib.asynccontextmanager
async def closing(engine: E) -> AsyncIterator[E]:
    try:
        yield engine
    finally:
        await engine.close()


def http(body: bytes, status: str = "200 OK", *headers: str, length: int | None = None) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def opa_saying(answer: bytes | Say) -> Say:
    async def say(writer: asyncio.StreamWriter, asked: bytes) -> None:
        if asked.startswith(b"GET /health"):
            writer.write(HEALTHY)
        elif isinstance(answer, bytes):
            writer.write(answer)
        else:
            await answer(writer, asked)

    return say


async def hang_up(writer: asyncio.StreamWriter, _: bytes) -> None:
    writer.transport.abort()


async def cut_off(writer: asyncio.StreamWriter, _: bytes) -> None:
    writer.write(http(b'{"result": tr', length=400))
    await writer.drain()
    writer.close()


async def drip(writer: asyncio.StreamWriter, asked: bytes) -> None:
    writer.write(http(b"{", length=1000))
    for _ in range(200):
        await writer.drain()
        await asyncio.sleep(0.02)
        writer.write(b" ")


async def say_nothing(writer: asyncio.StreamWriter, _: bytes) -> None:
    pass


def endless(head: bytes, part: bytes = PART) -> Say:
    async def say(writer: asyncio.StreamWriter, asked: bytes) -> None:
        writer.write(head)
        for _ in range(100 * (1 << 20) // len(PART)):
            writer.write(part)
            await writer.drain()

    return say


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

HOSTILE: dict[str, tuple[bytes | Say, type[Exception], str]] = {
    "500": (http(b"boom", "500 Internal Server Error"), EngineError, "answered 500: status 500, boom"),
    "500 of OPA": (
        http(json.dumps({"code": "internal_error", "message": "eval\ncancelled"}).encode(), "500 Error"),
        EngineError, "answered 500: eval cancelled",
    ),
    "html": (http(b"<html>hello</html>"), EngineError, "no JSON: <html>hello</html>"),
    "truncated": (http(b'{"result": tr'), EngineError, "no JSON: "),
    "nothing": (http(b""), EngineError, "no JSON: an empty answer"),
    "a list": (http(b"[true]"), EngineError, "no JSON object"),
    "not UTF-8": (http(b'{"result": "\xff"}'), EngineError, "no JSON"),
    "NaN": (http(b'{"result": NaN}'), EngineError, "no JSON"),
    "deep": (http(b'{"result": ' + b"[" * 100_000), EngineError, "no JSON"),
    "compressed": (http(b"\x1f\x8b\x08", "200 OK", "Content-Encoding: gzip"), EngineError, "no JSON"),
    "302": (http(b"", "302 Found", "Location: http://127.0.0.1:1/"), EngineError, "answered 302"),
    "no HTTP": (b"+PONG\r\n", EngineError, "no HTTP"),
    "long header": (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 300_000 + b"\r\n\r\n", EngineError, "no HTTP"),
    "hang-up": (hang_up, BackendError, ""),
    "cut off": (cut_off, BackendError, ""),
    "drip": (drip, BackendError, "no answer in time"),
    "silence": (say_nothing, BackendError, "no answer in time"),
    "100 MB": (endless(http(b"", length=100 << 20)), EngineError, "an answer of more than 4 MiB"),
    "100 MB in chunks": (
        endless(CHUNKED, b"%x\r\n" % len(PART) + PART + b"\r\n"), EngineError, "an answer of more than 4 MiB",
    ),
}  # fmt: skip


ENDLESS = ("drip", "silence", "half", "an endless line", "100 MB")
"""Answers that never come to their end, or that take longer than anybody waits."""


def timeout_s(name: str) -> float:
    """Short where the answer never comes; where it does, a busy host must not be taken for silence."""
    return 1.0 if name in ENDLESS else 30.0


@pytest.mark.parametrize("name", HOSTILE)
@on_a_loop
async def test_whatever_a_server_says_in_the_place_of_a_decision_is_an_error_of_one_line(name: str) -> None:
    answer, error, message = HOSTILE[name]
    async with server_saying(opa_saying(answer)) as port:
        url = f"http://127.0.0.1:{port}"
        async with closing(
            OpaPolicy(rule="data.p.allow", url=url, timeout=timeout_s(name), retries=1, connections=2)
        ) as engine:
            await engine.start()
            for _ in range(3):
                with pytest.raises(error) as caught:
                    await engine.operation(OP)
                assert message in str(caught.value)
                if isinstance(caught.value, SoakdError):
                    assert "\n" not in str(caught.value)
                    assert len(str(caught.value)) < 500
            assert engine.counters()["decisions"] == 0


@on_a_loop
async def test_a_cookie_is_not_kept_and_a_right_answer_after_a_wrong_one_is_a_decision() -> None:
    asked: list[bytes] = []

    async def say(writer: asyncio.StreamWriter, given: bytes) -> None:
        asked.append(given)
        right = len(asked) % 2 == 0
        writer.write(http(b'{"result": true}' if right else b"<html>", "200 OK", "Set-Cookie: a=b"))

    async with (
        server_saying(opa_saying(say)) as port,
        closing(OpaPolicy(rule="data.p.allow", url=f"http://127.0.0.1:{port}", connections=1)) as engine,
    ):
        await engine.start()
        for _ in range(3):
            with pytest.raises(EngineError):
                await engine.operation(OP)
            assert await engine.operation(OP) is True
    assert len(asked) == 6
    assert not any(b"ookie" in each for each in asked)


@pytest.mark.parametrize(
    "answer", [http(b"<html>", "200 OK"), http(b"", "503 Service Unavailable"), b"-ERR\r\n"], ids=["html", "503", "no"]
)
@on_a_loop
async def test_what_is_no_opa_is_refused_at_the_start_or_counted(answer: bytes) -> None:
    async def say(writer: asyncio.StreamWriter, _: bytes) -> None:
        writer.write(answer)

    async with (
        server_saying(say) as port,
        closing(OpaPolicy(rule="data.p.allow", url=f"http://127.0.0.1:{port}", timeout=30.0)) as engine,
    ):
        with pytest.raises(SoakdError) as caught:
            await engine.start()
    assert "\n" not in str(caught.value)
    assert str(port) in str(caught.value)


def redis_saying(answer: bytes | Say) -> Say:
    """A server that says what a Redis says to everything but GET."""

    async def say(writer: asyncio.StreamWriter, asked: bytes) -> None:
        if b"\r\nGET\r\n" in asked and isinstance(answer, bytes):
            writer.write(answer)
        elif b"\r\nGET\r\n" in asked and not isinstance(answer, bytes):
            await answer(writer, asked)
        else:
            for command in asked.split(b"*")[1:]:
                name = command.split(b"\r\n")[2].upper() if command.count(b"\r\n") > 2 else b""
                writer.write(b"-ERR unknown command\r\n" if name == b"HELLO" else ANSWERS.get(name, b"+OK\r\n"))

    return say


ANSWERS = {b"DBSIZE": b":3\r\n", b"DEL": b":1\r\n", b"CLIENT": b"+OK\r\n"}

HOSTILE_REDIS: dict[str, bytes | Say] = {
    "an error": b"-LOADING Redis is loading the dataset in memory\r\n",
    "another error": b"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n",
    "html": http(b"<html>hello</html>"),
    "a number": b":17\r\n",
    "somebody else's value": b"$5\r\nhello\r\n",
    "broken JSON": b"$3\r\nj{{\r\n",
    "deep JSON": b"$100001\r\nj" + b"[" * 100_000 + b"\r\n",
    "no number": b"$x\r\n",
    "deep array": b"*1\r\n" * 100_000,
    "hang-up": hang_up,
    "silence": say_nothing,
    "half": b"$100\r\nbhalf",
    "100 MB": endless(b"$104857600\r\n"),
    "an endless line": endless(b"+"),
}


@pytest.mark.parametrize("name", HOSTILE_REDIS)
@on_a_loop
async def test_whatever_a_server_says_in_the_place_of_a_value_is_an_error(name: str) -> None:
    async with server_saying(redis_saying(HOSTILE_REDIS[name])) as port:
        url = f"redis://127.0.0.1:{port}/0?protocol=2"
        async with closing(RedisCache(url=url, timeout=timeout_s(name), retries=1, connections=2)) as engine:
            await engine.start()
            for _ in range(3):
                with pytest.raises(REFUSED):
                    await engine.operation(OP)
            assert await engine.drop("a") is True, "the next command is not answered with what was left over"
            assert engine.counters()["hits"] == 0


@pytest.mark.parametrize("answer", [http(b"<html>"), b"-NOAUTH Authentication required.\r\n"], ids=["html", "noauth"])
@on_a_loop
async def test_what_is_no_redis_for_us_is_refused_at_the_start(answer: bytes) -> None:
    async def say(writer: asyncio.StreamWriter, _: bytes) -> None:
        writer.write(answer)

    async with (
        server_saying(say) as port,
        closing(RedisCache(url=f"redis://:secret@127.0.0.1:{port}/0", timeout=30.0, retries=0)) as engine,
    ):
        with pytest.raises(SoakdError) as caught:
            await engine.start()
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["500", "html", "hang-up", "deep", "100 MB"])
@on_a_loop
async def test_nothing_is_kept_of_answers_that_were_wrong(name: str) -> None:
    """The same number of objects after 300 wrong answers as after 60: a client that kept one of each would show."""
    answer = HOSTILE[name][0]
    rounds = 20 if name == "100 MB" else 300
    async with (
        server_saying(opa_saying(answer)) as port,
        closing(OpaPolicy(rule="data.p.allow", url=f"http://127.0.0.1:{port}", retries=0, connections=2)) as engine,
    ):
        await engine.start()

        async def ask(times: int) -> int:
            for _ in range(times):
                with pytest.raises(REFUSED):
                    await engine.operation(OP)
            gc.collect()
            return len(gc.get_objects())

        await ask(rounds // 5)
        before = await ask(rounds)
        assert await ask(rounds) - before < rounds / 5
    assert MOST_ANSWER_BYTES < 100 << 20
