"""OPA: how a server is started with its policy, how a policy is checked, and what the daemon asks a server."""

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import aiohttp

from soakd.daemon.backends.client import About, no_answer
from soakd.errors import BackendError, EngineError
from soakd.wire.addresses import without_credentials
from soakd.wire.policies import read_modules

READINGS: Mapping[str, str] = {
    "go_threads": "threads",
    "process_cpu_seconds_total": "cpu_s_total",
    "process_open_fds": "fds",
    "process_resident_memory_bytes": "rss_bytes",
}
NEXT_COLLECTION = "go_memstats_next_gc_bytes"
"""At GOGC 100 the collector lets the heap reach twice its live size: half of this tracks the live heap within 10 %."""
CHECK_WITHIN_S = 60.0
_NAME = re.compile(r"[A-Za-z_]\w*")
_STEP = re.compile(r"""\.(?P<name>[A-Za-z_]\w*)|\[(?P<quoted>"(?:[^"\\]|\\.)*")\]""")


def command(binary: str, port: int, options: Mapping[str, Any]) -> list[str]:
    """Return the command line of a private server that has its policy and data before it answers.

    Raises:
        BackendError: a file of the policy cannot be read.
    """
    return [
        binary, "run", "--server", "--addr", f"127.0.0.1:{port}", "--skip-version-check", "--log-level", "error",
        *options.get("args", ()), *map(_argument, files_of(options)),
    ]  # fmt: skip


def files_of(options: Mapping[str, Any]) -> list[str]:
    """Return the files of policy and data that a private server is started with.

    Raises:
        BackendError: one cannot be read, or there is none.
    """
    if not options.get("policy"):
        raise BackendError('kind "policy.opa": option "policy" must be given')
    try:
        modules = read_modules(list(options["policy"]))
    except EngineError as error:
        raise BackendError(str(error)) from error
    return [*modules, *([options["data"]] if "data" in options else [])]


async def check_policy(binary: str, options: Mapping[str, Any]) -> None:
    """Let OPA parse and compile the policy. A program without a `check` command accepts everything.

    Raises:
        BackendError: it does not compile; the message has file, line, column and OPA's reason.
    """
    process = await asyncio.create_subprocess_exec(
        binary, "check", "--format=json", *map(_argument, files_of(options)),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        async with asyncio.timeout(CHECK_WITHIN_S):
            output, _ = await process.communicate()
    except TimeoutError:
        raise BackendError(f"{binary} check: no answer within {CHECK_WITHIN_S:g}s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode and (words := _first_error(output)):
        raise BackendError(words)


class OpaQuestions:
    """A keep-alive connection to one server."""

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=4))

    async def ask(self) -> None:
        """GET /health.

        Raises:
            BackendError: no answer, or not 200.
        """
        await self._get("/health")

    async def about(self) -> About:
        """Ask for version and start; a server that is not OPA may report neither.

        Raises:
            BackendError: no answer at all.
        """
        started = (await self._metrics()).get("process_start_time_seconds")
        return About(version=await self._version(), life=None if started is None else str(started))

    async def read(self) -> Mapping[str, float]:
        """Read live bytes and the process's own figures from /metrics.

        Raises:
            BackendError: no answer.
        """
        metrics = await self._metrics()
        values = {name: metrics[key] for key, name in READINGS.items() if key in metrics}
        if NEXT_COLLECTION in metrics:
            values["live_bytes"] = metrics[NEXT_COLLECTION] / 2
        return values

    async def has_rule(self, rule: str) -> bool | None:
        """Return whether a rule, or a document of data, is there; None if the server does not list its policies."""
        path = rule.split(".")[1:]
        try:
            document = json.loads(await self._get("/v1/data/" + "/".join(quote(part, safe="") for part in path)))
            if "result" in document:
                return True
            policies = json.loads(await self._get("/v1/policies"))["result"]
            heads = [head for policy in policies for head in _heads_of(policy["ast"])]
        except (ValueError, KeyError, TypeError, BackendError):
            return None
        return any(_covers(head, path) for head in heads)

    async def close(self) -> None:
        """Close the connection."""
        await self._session.close()

    async def _version(self) -> str | None:
        try:
            answer = json.loads(await self._get("/v1/query?q=" + quote("x = opa.runtime().version")))
            return str(answer["result"][0]["x"])
        except (ValueError, KeyError, TypeError, IndexError, BackendError):
            return None

    async def _metrics(self) -> dict[str, float]:
        try:
            return dict(_samples(await self._get("/metrics")))
        except _Refused:
            return {}

    async def _get(self, path: str) -> str:
        try:
            async with self._session.get(self.address + path) as answer:
                text = await answer.text(errors="replace")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise no_answer(self.address, error) from error
        if answer.status != 200:
            raise _Refused(f"{without_credentials(self.address)}{path}: HTTP {answer.status}")
        return text


class _Refused(BackendError):
    """The server answers with another status than 200."""


def _argument(file: str) -> str:
    return f"file://{file}" if ":" in file else file  # `prefix:path` would load it below a prefix


def _first_error(output: bytes) -> str | None:
    """Return the first error of `opa check` as file, line, column and message; None if it wrote none."""
    text = output.decode("utf-8", "replace")
    try:
        error = json.loads(text[text.index("{") :])["errors"][0]
        place = error.get("location") or {}
        where = ":".join(str(place[key]) for key in ("file", "row", "col") if key in place)
        return f"{where}: {str(error['message']).splitlines()[0]}" if where else str(error["message"])
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        return None


def _samples(text: str) -> list[tuple[str, float]]:
    """Read the samples without labels of a text exposition."""
    found = []
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        if name and "{" not in name and name != "#":
            try:
                found.append((name, float(value)))
            except ValueError:
                continue
    return found


def _heads_of(ast: Mapping[str, Any] | str) -> list[list[str]]:
    """Read a module as the server lists it: JSON, or Rego from an OPA that Go 1.27 or later has built."""
    return _written_heads(ast) if isinstance(ast, str) else _heads(ast)


def _heads(ast: Mapping[str, Any]) -> list[list[str]]:
    """Return the path of every rule of a module, without the leading "data"; up to its first variable part."""
    package = [str(term["value"]) for term in ast["package"]["path"]][1:]
    return [package + _constant(rule["head"]) for rule in ast.get("rules", ())]


def _constant(head: Mapping[str, Any]) -> list[str]:
    if "ref" not in head:
        return [str(head["name"])]
    first, *rest = head["ref"]
    path = [str(first["value"])]
    for term in rest:
        if term["type"] != "string":
            break
        path.append(str(term["value"]))
    return path


def _written_heads(text: str) -> list[list[str]]:
    """Return what `_heads` does, of a module as OPA prints it: one rule a line, however it was written.

    Raises:
        ValueError: it is not written so.
    """
    package: list[str] | None = None
    heads = []
    for line in text.split("\n"):
        if not line or line.startswith(("#", "import ")):
            continue
        if package is None:
            package, rest = _written_path(line.removeprefix("package "))
            if rest or not line.startswith("package "):
                raise ValueError(f"no package: {line}")
        else:
            path, rest = _written_path(line.removeprefix("default "))
            if rest[:2] == '["' or rest[:1] not in ("", " ", "(", "["):
                raise ValueError(f"no head of a rule: {line}")
            heads.append(package + path)
    if package is None:
        raise ValueError("no package")
    return heads


def _written_path(text: str) -> tuple[list[str], str]:
    """Return the leading constant parts of a reference, and what comes after them."""
    first = _NAME.match(text)
    if first is None:
        raise ValueError(f"no reference: {text}")
    path, end = [first[0]], first.end()
    while step := _STEP.match(text, end):
        path.append(step["name"] or json.loads(step["quoted"]))
        end = step.end()
    return path, text[end:]


def _covers(head: Sequence[str], path: Sequence[str]) -> bool:
    """Return whether a rule answers for a path: it does for all below it, and a package for the rules in it."""
    shared = min(len(head), len(path))
    return list(head[:shared]) == list(path[:shared])
