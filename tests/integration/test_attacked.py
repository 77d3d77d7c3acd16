"""A real soak whose HTTP port is asked for everything that is not offered: plain answers, and no effect on the run."""

import contextlib
import random
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from soakd.record import journal
from tests.booted import wait_for
from tests.integration.test_prometheus import free_port
from tests.soaking import Soak, soaks_in

pytestmark = pytest.mark.integration

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "get", "BREW", "G\x01T")
PATHS = (
    "/", "/metrics", "/healthz", "/api/v1/stop", "/api/v1/stop/", "/api/v1/stop?token={token}", "/api/v1/../v1/stop",
    "/api/v1/engines/mine/snapshot", "/api/v1/engines/%00/snapshot", "/../../etc/passwd", "//", "/%2e%2e/token",
    "/token", "/run.db", "*", "http://elsewhere/", "/" + "a" * 5000, "/metrics?" + "b" * 3000, "/\u00ff",
)  # fmt: skip
HEADERS = (
    "",
    "Authorization: Bearer\r\n",
    "Authorization: Bearer wrong-wrong-wrong-wrong\r\n",
    "Authorization: Basic {token}\r\n",
    "Authorization: Bearer {token}x\r\n",
    "Authorization: {token}\r\n",
    "Cookie: token={token}\r\n",
    "Content-Length: -1\r\n",
    "Content-Length: 99999999999\r\n",
    "Transfer-Encoding: chunked\r\n",
    "X: " + "y" * 9000 + "\r\n",
    "Expect: 100-continue\r\nContent-Length: 5\r\n",
    "Upgrade: websocket\r\nConnection: Upgrade\r\n",
    "no colon\r\n",
)
BODIES = (b"", b"stop", b'{"deep": true}', b"\x00" * 2000, b"ffffffff\r\nx\r\n0\r\n\r\n")
REQUESTS = 400
CONNECTIONS = 1000
LONGER_S = 360  # than all of this takes on a busy host: who has the token ends it
ANSWER_S, NO_ANSWER_S, SURELY_S = 0.5, 0.1, 15.0
HOSTS = ("127.0.0.1", "localhost", "localhost", "x", "soakd.example:80", "")
PLAIN = {100, 200, 400, 401, 404, 405, 411, 413, 414, 417, 421, 431, 501}


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[..., Soak]]:
    yield from soaks_in(tmp_path)


def test_strangers_get_plain_answers_and_change_nothing(begin: Callable[..., Soak]) -> None:
    port = free_port()
    soak = begin(duration=LONGER_S, more=f"[http]\nport = {port}")
    soak.wait_for_load()
    token = (soak.run / "token").read_text(encoding="ascii").strip()
    before = soak.process.num_fds()
    dice, seen = random.Random("strangers"), set[int]()
    with contextlib.ExitStack() as opened:
        for _ in range(20):
            opened.enter_context(connect(port)).sendall(b"GET /metr")
        for _ in range(REQUESTS):
            request = drawn(dice, token)
            status = ask(port, request, ANSWER_S if b"\r\n\r\n" in request else NO_ANSWER_S)
            assert status is None or status in PLAIN, request[:200]
            if b"/api/v1/stop" in request.partition(b"\r\n")[0]:
                assert status not in (200, 202), request[:200]
            seen.add(status or 0)
        assert seen >= {200, 400, 404, 405}
        for shown in ("", "Authorization: Bearer wrong-wrong-wrong-wrong\r\n", f"Authorization: Bearer {token}x\r\n"):
            assert ask(port, f"POST /api/v1/stop HTTP/1.1\r\nHost: localhost\r\n{shown}\r\n".encode(), SURELY_S) == 401
        with contextlib.suppress(OSError):  # this process may have fewer files than that
            for _ in range(CONNECTIONS):
                opened.enter_context(connect(port))
    wait_for(lambda: ask(port, b"GET /healthz HTTP/1.0\r\n\r\n", SURELY_S) == 200, 30, "an answer to the next visitor")
    wait_for(lambda: soak.process.num_fds() <= before + 5, 30, "no descriptor that is left")
    assert (
        ask(
            port,
            f"POST /api/v1/stop HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n".encode(),
            SURELY_S,
        )
        == 202
    )
    assert soak.finish() in (1, 3, 4), soak.said  # a busy host may have kept it from its rate
    assert soak.verdict["run"]["ended_by"] == "interrupted", "by who has the token, and by nobody before"
    assert soak.incidents() == []
    assert {what for what in soak.told() if not what.startswith("host_")} <= {"standstill"}
    assert soak.check("errors.ratio")["estimate"] == 0
    assert token not in soak.said
    own = [r.body for r in journal.read_records(soak.run / "run.db", "sample", engine="")]
    assert max(body["fds"] for body in own) < before + 100 + 100, "connections are bounded"


def drawn(dice: random.Random, token: str) -> bytes:
    if dice.random() < 0.2:
        return dice.randbytes(dice.randrange(1, 3000)) + dice.choice([b"", b"\r\n\r\n"])
    method, path, header, host = (dice.choice(items) for items in (METHODS, PATHS, HEADERS, HOSTS))
    head = f"{method} {path} HTTP/1.{dice.choice('0119')}\r\nHost: {host}\r\n{header}\r\n".replace("{token}", token)
    return head.encode("latin-1") + dice.choice(BODIES)


def connect(port: int, timeout_s: float = SURELY_S) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=timeout_s)


def ask(port: int, request: bytes, within_s: float) -> int | None:
    """Send bytes; return the status of the answer, None where none comes soon."""
    answer = b""
    with contextlib.suppress(OSError), connect(port, within_s) as asking:
        asking.sendall(request)
        while len(answer) < 12 and (more := asking.recv(4096)):
            answer += more
    if not answer:
        return None
    assert answer.startswith(b"HTTP/1."), answer[:100]
    return int(answer.split()[1])
