"""Engines that fork in real workers: there is one worker, whatever becomes of the children."""

import asyncio
import itertools
import os
import sys
from pathlib import Path

import pytest

from soakd.daemon.workers.worker import Worker
from soakd.wire.records import Record
from soakd.wire.spec import Phase, PhaseName, WorkerSpec
from tests.integration.test_engines_in_workers import bodies, incidents, lives
from tests.servers import on_a_loop

pytestmark = [
    pytest.mark.integration,
    pytest.mark.quiet("six workers at once, each through phases of 100 ms"),
]

ENGINES = Path(__file__).parent.parent / "engines"
COMES_BACK = {
    "child_raises": "RuntimeError: what the child wanted is not there",
    "child_returns": "the operation returned in it",
    "native_child_returns": "the operation returned in it",
    "child_raises_asynchronously": "RuntimeError: what the child wanted is not there",
    "child_returns_asynchronously": "the operation returned in it",
}
ENDS_ELSEWHERE = (
    "child_leaves", "child_leaves_asynchronously", "child_ends_in_order", "children_of_multiprocessing",
)  # fmt: skip
RATE, LOADED_S = 250.0, 0.6
FORK_EVERY = 40
"""Operations; as the engines have it."""


def spec(factory: str, **options: int) -> WorkerSpec:
    ends = tuple(itertools.accumulate((0.1, 0.4, 0.1, 0.2, 0.1)))
    names: tuple[PhaseName, ...] = ("baseline", "load", "drain", "reload", "close")
    phases = tuple(Phase(name=n, start_s=s, end_s=e) for n, s, e in zip(names, (0.0, *ends), ends, strict=False))
    return WorkerSpec(
        engine="under-test", kind="python", role="subject", segment=0, seed=1, rate_per_s=RATE, profile="target",
        mix="standard", in_flight=64, phases=phases, sample_every_s=0.05, collect_every_s=0.2, snapshot_every_s=None,
        latency_every_s=1.0, factory=f"forking:{factory}", path=(str(ENGINES),), options=options,
    )  # fmt: skip


@pytest.fixture(scope="module")
def told() -> dict[str, tuple[list[Record], list[str], int]]:
    """Let a worker of each kind live one life, all of them at once."""

    async def all_of_them() -> dict[str, tuple[list[Record], list[str], int]]:
        names = (*COMES_BACK, *ENDS_ELSEWHERE)
        return dict(zip(names, await asyncio.gather(*(lives(spec(name)) for name in names)), strict=True))

    return asyncio.run(all_of_them())


@pytest.mark.parametrize("factory", [*COMES_BACK, *ENDS_ELSEWHERE])
def test_one_worker_lives_one_life_whatever_becomes_of_the_children(
    factory: str, told: dict[str, tuple[list[Record], list[str], int]]
) -> None:
    records, lines, status = told[factory]
    assert status == 0, lines
    assert len(bodies(records, "hello")) == len(bodies(records, "bye")) == 1
    totals = [body["operations_total"] for body in bodies(records, "sample")]
    assert totals == sorted(totals), "a second worker would count from its own fork"
    done = totals[-1] + bodies(records, "sample")[-1]["skipped_total"]
    assert done == pytest.approx(RATE * LOADED_S, abs=2), "those of one worker"
    assert incidents(records, "operation_error") == [], "the operations of the worker itself succeed"
    phases = [body["name"] for body in bodies(records, "phase")]
    assert phases == ["baseline", "load", "drain", "reload", "close"]


@pytest.mark.parametrize("factory", COMES_BACK)
def test_each_child_that_comes_back_is_an_incident_that_says_what_brought_it_there(
    factory: str, told: dict[str, tuple[list[Record], list[str], int]]
) -> None:
    records, _, _ = told[factory]
    returned = incidents(records, "child_returned")
    done = bodies(records, "sample")[-1]["operations_total"]
    assert 1 <= sum(body["count"] for body in returned) <= done // FORK_EVERY
    assert all(body["detail"].endswith(COMES_BACK[factory]) for body in returned)


@pytest.mark.parametrize("factory", ENDS_ELSEWHERE)
def test_a_child_that_ends_by_itself_is_no_incident(
    factory: str, told: dict[str, tuple[list[Record], list[str], int]]
) -> None:
    records, _, _ = told[factory]
    assert bodies(records, "incident") == []


@on_a_loop
async def test_what_an_engine_writes_to_the_record_pipe_is_counted_and_believed_by_nobody() -> None:
    records: list[Record] = []
    worker = Worker(spec("writes_to_the_record_pipe", lines=30), records.append)
    worker.start(python=None, environment=os.environ | {"PYTHONPATH": str(ENGINES.parent.parent)})
    try:
        async with asyncio.timeout(60):
            await worker.hello
            worker.send_order({"go": asyncio.get_running_loop().time()})
            assert await worker.ended() == 0
    finally:
        worker.kill_group()
        worker.close()
    assert bodies(records, "incident") == []
    assert (worker.intake.garbled, worker.intake.refused) == (30, 0)
    assert len(bodies(records, "bye")) == 1


@on_a_loop
async def test_an_interpreter_that_is_another_process_is_refused_with_what_to_do(tmp_path: Path) -> None:
    wrapper = tmp_path / "python"
    wrapper.write_text(f'#!/bin/sh\n{sys.executable} "$@"\nexit $?\n', encoding="utf-8")
    wrapper.chmod(0o755)
    records: list[Record] = []
    worker = Worker(spec("child_ends_in_order"), records.append)
    worker.start(python=str(wrapper), environment=os.environ | {"PYTHONPATH": str(ENGINES.parent.parent)})
    try:
        async with asyncio.timeout(60):
            await worker.ended()
    finally:
        worker.hello.cancel()
        worker.kill_group()
        worker.close()
    assert records == []
    assert worker.start_failure is not None
    assert worker.start_failure.endswith("an interpreter that is a script must `exec` the real one")
