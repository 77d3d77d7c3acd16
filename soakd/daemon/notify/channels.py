"""Delivers an event: to a program that reads it, or to an address by POST. Neither can hold anything up."""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp

from soakd.live.status import printable
from soakd.wire.masking import masked

ATTEMPTS = 3
PAUSE_S = 2.0
"""Before another attempt; twice as long before the one after."""
MOST_STDERR = 2000
LAST_WORDS_S = 0.5
AGAIN = (408, 425, 429)
"""Answers of 4xx after which another attempt may succeed, as after 5xx."""


async def deliver_to_command(command: Sequence[str], event: Mapping[str, Any], timeout_s: float) -> str | None:
    """Run a program, without a shell, with one event as JSON on its standard input.

    Returns:
        What went wrong, in words; None if it ended with 0. One that takes longer than `timeout_s` is killed, with all
        that it started in its session.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
    except (OSError, ValueError) as error:
        return f"cannot be started: {getattr(error, 'strerror', None) or error}"
    stderr = bytearray()
    reading = asyncio.ensure_future(_read(process, stderr))
    try:
        async with asyncio.timeout(timeout_s):
            await asyncio.gather(_write(process, _encoded(event)), process.wait())
    except TimeoutError:
        return f"killed: it did not end within {timeout_s:g}s{_last_line(stderr)}"
    finally:
        await _end(process)
        await asyncio.wait(
            [reading], timeout=LAST_WORDS_S
        )  # a process that it left in the background may hold the pipe
        reading.cancel()
    return None if process.returncode == 0 else f"ended with {process.returncode}{_last_line(stderr)}"


async def deliver_to_webhook(url: str, event: Mapping[str, Any], timeout_s: float) -> str | None:
    """Post an event as JSON, three times at most while the server cannot take it.

    Returns:
        What went wrong, in words without the address; None if the answer was 2xx.
    """
    why: str | None = None
    timeout = aiohttp.ClientTimeout(total=timeout_s)
    async with aiohttp.ClientSession(timeout=timeout, trust_env=True) as session:
        for attempt in range(ATTEMPTS):
            if attempt:
                await asyncio.sleep(PAUSE_S * 2 ** (attempt - 1))
            why, again = await _post(session, url, _encoded(event))
            if not again:
                break
    return why


async def _post(session: aiohttp.ClientSession, url: str, body: bytes) -> tuple[str | None, bool]:
    """Return what went wrong, and whether to try again. Not with aiohttp's messages: they may hold the address."""
    headers = {"Content-Type": "application/json", "User-Agent": "soakd"}
    try:
        async with session.post(url, data=body, headers=headers, allow_redirects=False) as answer:
            status = answer.status
    except TimeoutError:
        return "no answer in time", True
    except aiohttp.ClientConnectorError as error:
        return f"cannot be reached: {error.os_error.strerror or type(error.os_error).__name__}", True
    except aiohttp.InvalidURL:
        return "not an address", False
    except aiohttp.ClientError as error:
        return f"{type(error).__name__}", True
    if 200 <= status < 300:
        return None, False
    return f"answered {status}", status >= 500 or status in AGAIN


def _encoded(event: Mapping[str, Any]) -> bytes:
    return json.dumps(masked(event), ensure_ascii=True, allow_nan=False).encode() + b"\n"


async def _write(process: asyncio.subprocess.Process, body: bytes) -> None:
    """Write the event to the program; one that does not read it may still do its work."""
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        process.stdin.write(body)
        await process.stdin.drain()
    process.stdin.close()


async def _read(process: asyncio.subprocess.Process, stderr: bytearray) -> None:
    """Read its stderr, and keep the end."""
    assert process.stderr is not None
    while chunk := await process.stderr.read(4096):
        stderr += chunk
        del stderr[:-MOST_STDERR]


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill a program that still runs, with all that it started in its session."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def _last_line(stderr: bytearray) -> str:
    lines = [line for line in stderr.decode(errors="replace").splitlines() if line.strip()]
    return f": {printable(lines[-1], 200)}" if lines else ""
