"""Engines that do what engines do at night."""

import os
import signal
import subprocess
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


class HasPhases:
    """An engine of which one method misbehaves."""

    def operation(self) -> object:
        return bytes(200)


def leaves_in_start() -> HasPhases:
    class Leaves(HasPhases):
        def start(self) -> None:
            sys.exit(7)

    return Leaves()


def never_closes() -> HasPhases:
    class NeverCloses(HasPhases):
        def close(self) -> None:
            while True:
                time.sleep(0.01)

    return NeverCloses()


def leaves_in_an_operation() -> Operation:
    started_s = time.monotonic()

    def operate() -> None:
        if time.monotonic() - started_s > 2.0:
            raise SystemExit(7)

    return operate


def leaves_in_the_factory() -> Operation:
    print("no licence found", file=sys.stderr)
    os._exit(7)


def raises_what_utf8_cannot_carry() -> Operation:
    def operate() -> None:
        raise ValueError("bad \udcff")

    return operate


def starts_a_child(pid_file: str, status: int | None = None) -> Operation:
    """Leave a child behind that holds the worker's output; exit after two seconds where a status is given."""
    child = subprocess.Popen(["sleep", "600"])
    with open(pid_file, "a", encoding="ascii") as file:
        file.write(f"{child.pid}\n")
    return healthy() if status is None else exits(status)


def waits_forever_asynchronously() -> Callable[[], object]:
    import asyncio

    started_s = time.monotonic()

    async def operate() -> None:
        if time.monotonic() - started_s > 2.0:
            await asyncio.Event().wait()

    return operate
