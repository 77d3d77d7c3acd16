"""What it costs to drive an engine that does nothing: rate error and CPU per operation, sync and async, in one run.

python -m benches.bench driver
"""

import asyncio
import time
from collections.abc import Iterator

from soakd.wire.spec import Operation
from soakd.worker.load import Arrivals, AsyncDriver, Lanes, SyncDriver, Tape, new_recorder
from soakd.worker.load.mixes import MIXES
from soakd.worker.load.tape import make_operations

TITLE = "an engine that does nothing, driven at four rates"

NS = 1_000_000_000
RATES = (100, 2_000, 10_000, 50_000)
RATE_ERROR_BUDGET = 0.001
CPU_BUDGET_US_AT = {10_000: 5.0}
"""docs/architecture.md has the budgets."""
SATURATED = 20_000_000


Row = tuple[str, float, str, str]
"""What was measured, the figure, its unit, a remark."""


def rows(seconds: float = 5.0) -> Iterator[Row]:
    """Measure each rate on both paths, and how fast the sync path is when it is never idle."""
    tape, lanes = Tape(make_operations(1, MIXES["standard"], 4096)), Lanes(new_recorder(), new_recorder())
    direct_us = _direct_us(tape)
    yield "calling the no-op directly", direct_us, "us", "the yardstick of what follows"
    for rate in RATES:
        yield from _rows_of("sync", rate, seconds, direct_us, SyncDriver(_nothing, tape, lanes, _raise))
    for rate in RATES:
        yield from _rows_of("async", rate, seconds, direct_us, AsyncDriver(_nothing_async, tape, lanes, _raise))
    driver = SyncDriver(_nothing, tape, lanes, _raise)
    _, cpu_s = _measured(SATURATED, seconds, driver)
    us = cpu_s / driver.operations_total * 1e6
    yield (
        "sync, all out: CPU per operation",
        us,
        "us",
        f"x{us / direct_us:.1f}; {driver.operations_total / seconds:,.0f}/s",
    )


def _rows_of(path: str, rate: int, seconds: float, direct_us: float, driver: SyncDriver | AsyncDriver) -> Iterator[Row]:
    wall_s, cpu_s = _measured(rate, seconds, driver)
    # Against the phase, not the wall: what a driver does after its phase (512 tasks to cancel) is no lost rate.
    error_ratio = driver.operations_total / (rate * seconds) - 1
    lost = f"; returned {1e3 * (wall_s - seconds):.1f} ms after its end"
    lost += f"; {driver.dropped_total} dropped" if driver.dropped_total else ""
    lost += f"; {driver.skipped_total} skipped" if driver.skipped_total else ""
    yield f"{path}, {rate:,}/s: rate error", 100 * error_ratio, "%", _budget(abs(error_ratio), RATE_ERROR_BUDGET) + lost
    us = cpu_s / driver.operations_total * 1e6
    budget_us = CPU_BUDGET_US_AT.get(rate) if path == "sync" else None
    remark = f"x{us / direct_us:.0f}; {cpu_s / wall_s:.1%} of a core"
    yield (
        f"{path}, {rate:,}/s: CPU per operation",
        us,
        "us",
        remark + (_budget(us, budget_us, "; ") if budget_us else ""),
    )


def _budget(figure: float, budget: float, joint: str = "") -> str:
    return f"{joint}{'within' if figure <= budget else 'OVER'} the budget of {budget:g}"


def _measured(rate: int, seconds: float, driver: SyncDriver | AsyncDriver) -> tuple[float, float]:
    """Run one phase; return its wall time and its CPU time, seconds."""

    async def run_async() -> float:
        assert isinstance(driver, AsyncDriver)
        start_ns, arrivals, until_ns = _schedule(rate, seconds)
        await driver.run(arrivals, until_ns, _keep_house)
        return (time.monotonic_ns() - start_ns) / NS

    cpu_s = time.process_time()
    if isinstance(driver, SyncDriver):
        start_ns, arrivals, until_ns = _schedule(rate, seconds)
        driver.run(arrivals, until_ns, _keep_house)
        wall_s = (time.monotonic_ns() - start_ns) / NS
    else:
        wall_s = asyncio.run(run_async())
    return wall_s, time.process_time() - cpu_s


def _schedule(rate: int, seconds: float) -> tuple[int, Arrivals, int]:
    start_ns = time.monotonic_ns()
    until_ns = start_ns + int(seconds * NS)
    return start_ns, Arrivals(rate, "target", start_ns, until_ns), until_ns


def _direct_us(tape: Tape, operations: int = 500_000) -> float:
    cpu_s = time.process_time()
    for op, _ in zip(tape.stream, range(operations), strict=False):
        _nothing(op)
    return (time.process_time() - cpu_s) / operations * 1e6


def _nothing(op: Operation) -> None:
    pass


async def _nothing_async(op: Operation) -> None:
    pass


def _keep_house(now_ns: int) -> int:
    return now_ns + NS


def _raise(error: Exception) -> None:
    raise error
