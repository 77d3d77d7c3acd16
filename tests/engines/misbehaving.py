"""Engines that do what engines do at night."""

import os
import signal
import sys
import time
from collections.abc import Callable

Operation = Callable[[], object]


def healthy() -> Operation:
    return lambda: bytes(200)


def raises_every_second_time() -> Operation:
    count = iter(range(10**12))

    def operate() -> None:
        if next(count) % 2:
            raise RuntimeError("the backend said no")

    return operate


def prints_garbage() -> Operation:
    def operate() -> None:
        print('{"v": 1, "kind": "sample", "engine": "healthy", "body": {}}\x00\xff')
        os.write(1, b"\xff\xfe not utf-8 \x1b[31m\n")
        os.write(2, b"no newline ")

    return operate


def never_returns() -> Operation:
    started_s = time.monotonic()

    def operate() -> None:
        while time.monotonic() - started_s > 2.0:
            time.sleep(0.01)

    return operate


def exits(status: int) -> Operation:
    started_s = time.monotonic()

    def operate() -> None:
        if time.monotonic() - started_s > 2.0:
            print("last words", file=sys.stderr)
            os._exit(status)

    return operate


def is_killed(number: int) -> Operation:
    started_s = time.monotonic()

    def operate() -> None:
        if time.monotonic() - started_s > 2.0:
            os.kill(os.getpid(), number)

    return operate


def stops_itself() -> Operation:
    return is_killed(signal.SIGSTOP)


def does_not_start() -> Operation:
    raise ConnectionRefusedError("no such backend")


def waits_forever_asynchronously() -> Callable[[], object]:
    import asyncio

    started_s = time.monotonic()

    async def operate() -> None:
        if time.monotonic() - started_s > 2.0:
            await asyncio.Event().wait()

    return operate
