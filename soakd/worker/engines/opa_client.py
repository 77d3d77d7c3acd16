"""A client of an OPA server: decisions, policies and data over HTTP, with no state between requests.

Cookies are refused, redirects not followed, answers not decompressed, and read up to `MOST_ANSWER_BYTES`.
"""

import io
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from soakd.errors import EngineError
from soakd.wire.addresses import without_credentials
from soakd.wire.policies import opa_id
from soakd.worker.engines.attempts import Attempts
from soakd.worker.engines.undefined import UNDEFINED

MOST_ANSWER_BYTES = 4 << 20
PUSH_TIMEOUT_S = 120.0
"""A server takes several seconds to compile 10 MB of policy, and answers afterwards."""
LARGE_BYTES = 1 << 20
JSON_HEADERS = {"Content-Type": "application/json"}
TEXT_HEADERS = {"Content-Type": "text/plain"}

Answer = tuple[int, bytes]


class OpaClient:
    """One session with a keep-alive pool.

    Args:
        url: of the server, "http://host:port"; a path in it is put before that of each request.
        timeout_s: seconds for one attempt, the wait for a connection included.
        retries: attempts after a failed one.
        connections: the most connections at once.

    Raises:
        EngineError: not an address of this kind.
        ImportError: this interpreter has no aiohttp.
    """

    def __init__(self, url: str, *, timeout_s: float, retries: int, connections: int) -> None:
        import aiohttp

        if not url.startswith(("http://", "https://")):
            raise EngineError(f'url: must begin with http:// or https://, got "{url}"')
        self.server = without_credentials(url)
        self.attempts = Attempts(
            self.server, retries, timed_out=(TimeoutError,),
            lost=(aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, OSError),
        )  # fmt: skip
        self._aiohttp = aiohttp
        self._base = url.rstrip("/")
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=timeout_s)
        self._push_timeout = aiohttp.ClientTimeout(total=PUSH_TIMEOUT_S, sock_connect=timeout_s)
        self._connections = connections
        self._session: Any = None

    async def open(self) -> None:
        """Open the session, and check that the server answers.

        Raises:
            BackendError: it does not.
            EngineError: the server is not OPA.
        """
        self._session = self._aiohttp.ClientSession(
            connector=self._aiohttp.TCPConnector(limit=self._connections),
            timeout=self._timeout,
            cookie_jar=self._aiohttp.DummyCookieJar(),
            headers={"Accept-Encoding": "identity"},
            auto_decompress=False,
        )
        status, body = await self.attempts(self._ask, "GET", f"{self._base}/health", None, {}, self._timeout)
        if status != 200 or body.lstrip()[:1] not in (b"", b"{"):
            raise EngineError(f"{self.server}/health answered {status}, not as an OPA server does: {excerpt(body)}")

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    async def decide(self, path: str, body: bytes) -> Any:
        """Ask for one decision; UNDEFINED where the rule does not apply.

        Raises:
            BackendError: no answer after all attempts.
            EngineError: the answer is not a decision.
        """
        url = f"{self._base}{path}"
        return result_of(*await self.attempts(self._ask, "POST", url, body, JSON_HEADERS, self._timeout))

    async def push(self, modules: Mapping[str, str], data: Mapping[str, Any] | None, revision: int) -> None:
        """Load data and modules, as {file: text}, replacing what the server has under the same names.

        A revision above 0 is added as a comment, so that the server compiles a text that is otherwise unchanged.

        Raises:
            BackendError: no answer after all attempts.
            EngineError: the server rejects a module; names its file, row and column.
        """
        for key, document in (data or {}).items():
            body = json.dumps(document).encode()
            await self._put(f"/v1/data/{quote(key, safe='')}", body, JSON_HEADERS)
        comment = f"\n# revision {revision}\n" if revision else ""
        waiting = {opa_id(file): (text + comment).encode() for file, text in modules.items()}
        while waiting:
            waiting = await self._put_modules(waiting)

    async def _put_modules(self, modules: Mapping[str, bytes]) -> dict[str, bytes]:
        """Put the modules that compile; return the rest, which may need functions of a module not loaded yet."""
        rest: dict[str, bytes] = {}
        refusal: EngineError | None = None
        for name, text in modules.items():
            try:
                await self._put(f"/v1/policies/{quote(name)}", text, TEXT_HEADERS)
            except EngineError as error:
                rest[name] = text
                refusal = refusal or error
        if refusal is not None and len(rest) == len(modules):
            raise refusal
        return rest

    async def _put(self, path: str, body: bytes, headers: Mapping[str, str]) -> None:
        url = f"{self._base}{path}"
        status, answer = await self.attempts(self._ask, "PUT", url, body, headers, self._push_timeout)
        if status not in (200, 204):
            raise EngineError(f"{self.server} rejects {path}: {refusal_of(status, answer)}")

    async def _ask(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str], within: Any) -> Answer:
        data = io.BytesIO(body) if body is not None and len(body) > LARGE_BYTES else body  # aiohttp asks for it
        request = self._session.request(method, url, data=data, headers=headers, timeout=within, allow_redirects=False)
        try:
            async with request as response:
                return response.status, await _read(response)
        except self._aiohttp.ClientResponseError as error:
            raise EngineError(
                f"{self.server} answered what is no HTTP: {' '.join(error.message.split())[:100]}"
            ) from error


async def _read(response: Any) -> bytes:
    """Read an answer; close the connection of one that is too long.

    Raises:
        EngineError: it is too long.
    """
    body = bytearray()
    if (response.content_length or 0) <= MOST_ANSWER_BYTES:
        async for part in response.content.iter_any():
            body += part
            if len(body) > MOST_ANSWER_BYTES:
                break
        else:
            return bytes(body)
    response.close()
    raise EngineError(f"an answer of more than {MOST_ANSWER_BYTES >> 20} MiB (status {response.status})")


def result_of(status: int, body: bytes) -> Any:
    """Return the decision in an answer; UNDEFINED where it has none.

    Raises:
        EngineError: not OPA's answer to a decision.
    """
    if status != 200:
        raise EngineError(f"answered {status}: {refusal_of(status, body)}")
    try:
        answer = DECODER.decode(body.decode())
    except (ValueError, RecursionError) as error:
        raise EngineError(f"answered what is no JSON: {excerpt(body)}") from error
    if not isinstance(answer, dict):
        raise EngineError(f"answered what is no JSON object: {excerpt(body)}")
    return answer.get("result", UNDEFINED)


def refusal_of(status: int, body: bytes) -> str:
    """Return OPA's own reason for refusing, with the first place that it names."""
    try:
        answer = DECODER.decode(body.decode())
        first = (answer.get("errors") or [answer])[0]
        place = first.get("location") or {}
        where = f"{place['file']}:{place['row']}:{place['col']}: " if place else ""
        return " ".join(f"{where}{first['message']}".split())[:300]
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return f"status {status}, {excerpt(body)}"


def excerpt(body: bytes) -> str:
    """Return the start of an answer on one line, for a message."""
    text = " ".join(body[:400].decode(errors="replace").split())[:100]
    return "".join(c if c.isprintable() else "?" for c in text) or "an empty answer"


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not a JSON number")


DECODER = json.JSONDecoder(parse_constant=_refuse)
