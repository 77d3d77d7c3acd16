"""What every test may use: golden files, and time that jumps instead of passing; and where each test runs.

Tests that share a fixture of their module run in one process; all others go wherever there is room.
"""

import asyncio
import functools
import gc
import os
import selectors
import sys
from collections.abc import Callable, Coroutine, Generator, Iterator
from pathlib import Path
from typing import Any, TypeVar

# One thread for each process of tests, as the judge has it: numpy's would spin against the other processes. The
# variable is read when numpy is first imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest

from tests.quiet import Reading, reason_to_skip

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
    """Begin with the files that share a fixture, the longest; where golden files are written, run only who has one."""
    items.sort(key=lambda item: not shares_a_fixture(item.path))
    if config.getoption("--golden") == "write":
        others = [item for item in items if "golden" not in getattr(item, "fixturenames", ())]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in others]


@functools.cache
def shares_a_fixture(file: Path) -> bool:
    """Return whether the tests of a file share a fixture that lives as long as their module."""
    return 'scope="module"' in file.read_text(encoding="utf-8")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Choose how tests are distributed: `--dist loadscope` means by shared fixtures here."""
    if config.getoption("dist") != "loadscope":
        return None
    from tests.distribution import SharedFixturesTogether  # only here xdist is sure to be there

    return SharedFixturesTogether(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, object, object]:
    """Note what the host had done before a test that needs it quiet, or before the first of those that share a soak."""
    if item.get_closest_marker("quiet"):
        whole = item.getparent(pytest.Module) if shares_a_fixture(item.path) else None
        stash = item.stash if whole is None else whole.stash
        item.stash[BEFORE] = stash.setdefault(BEFORE, Reading.take())
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn the failure of a quiet test on a busy host into a skip that says what was taken."""
    report = yield
    marker = item.get_closest_marker("quiet")
    if marker is not None and report.failed:
        why = reason_to_skip(marker.args[0], item.stash[BEFORE], Reading.take(), os.cpu_count() or 1)
        if why is not None:
            report.outcome = "skipped"
            report.longrepr = (str(item.path), item.reportinfo()[1] or 0, f"Skipped: {why}")
    return report


BEFORE = pytest.StashKey[Reading]()


@pytest.fixture(autouse=True)
def garbage_is_collected_here() -> Iterator[None]:
    """Collect what a test left, while it is still that test's: its warnings would be errors of another one."""
    yield
    for name in ("last_exc", "last_value", "last_traceback", "last_type"):  # pytest keeps the frames of a failure there
        if hasattr(sys, name):
            delattr(sys, name)
    gc.collect()
    gc.freeze()  # what is left now is not looked at again: a collection costs what its test made


@pytest.fixture
def every_object_is_seen() -> None:
    """Let `gc.get_objects` see what earlier tests left, too: what is frozen is not among them."""
    gc.unfreeze()


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
