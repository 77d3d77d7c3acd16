"""What every test may use: golden files, and time that jumps instead of passing."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

ROOT = Path(__file__).parent.parent
GOLDEN = ROOT / "tests" / "golden"

T = TypeVar("T")
Golden = Callable[[str, str], None]
InVirtualTime = Callable[[Coroutine[Any, Any, T]], T]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--golden", choices=["compare", "write"], default="compare", help="compare with, or write, golden files"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where golden files are written, run only the tests that have one."""
    if config.getoption("--golden") == "write":
        others = [item for item in items if "golden" not in getattr(item, "fixturenames", ())]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in others]


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Compare a text with tests/golden/NAME; `make golden` writes it instead."""

    def check(name: str, text: str) -> None:
        path = GOLDEN / name
        if request.config.getoption("--golden") == "write":
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.exists(), f"no golden file {name}: run `make golden`, read it, commit it"
        assert text == path.read_text(encoding="utf-8"), f"{name} changed: run `make golden` and read the difference"

    return check


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to its next timer: an hour of sleeping takes no time, and is exactly an hour."""

    def __init__(self) -> None:
        super().__init__(_NoWait(self))
        self._now_s = 0.0

    def time(self) -> float:
        return self._now_s

    def jump(self, seconds: float) -> None:
        self._now_s += seconds


class _NoWait(selectors.SelectSelector):
    def __init__(self, loop: VirtualTimeLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0 if timeout is not None else 5.0)
        if timeout is None and not ready:
            raise RuntimeError("every task waits for something that no timer will bring")
        if timeout and not ready:
            self._loop.jump(timeout)
        return ready


@pytest.fixture
def in_virtual_time() -> Iterator[InVirtualTime[Any]]:
    """Run a coroutine on a loop whose clock jumps; `loop.time()` is the only clock that it may read."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        yield runner.run
