"""A forked child that comes back into soakd's code ends there, sends nothing, and is told of by the worker."""

import os
from collections.abc import Callable

import pytest

from soakd.worker.copies import LONGEST_REASON_BYTES, STATUS, Copies
from soakd.worker.pipes import RecordPipe
from soakd.worker.probes import fork

CAME_THROUGH = 99


def status_of_child(job: Callable[[], object]) -> int:
    """Do a job in a forked child; return its exit status, which is 99 where the job returned or raised."""
    pid = os.fork()
    if pid == 0:
        try:
            job()
        finally:
            os._exit(CAME_THROUGH)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_the_worker_itself_goes_on_whatever_is_handled_there() -> None:
    copies = Copies()
    copies.end_here()
    copies.end_here(RuntimeError("an operation failed"))
    copies.end_here(SystemExit(3))
    assert copies.news(report_all=True) is None


def test_a_copy_ends_and_the_worker_tells_of_it_once_with_what_brought_it_there() -> None:
    copies = Copies()
    assert status_of_child(lambda: copies.end_here(RuntimeError("no such backend"))) == STATUS
    told = copies.news(report_all=True)
    assert told is not None
    assert (told["what"], told["count"]) == ("child_returned", 1)
    assert told["detail"].endswith("and was ended there: RuntimeError: no such backend")
    assert f"(pid {told['pid']})" in told["detail"]
    assert copies.news(report_all=True) is None


def test_copies_that_came_back_between_two_samples_are_one_incident_with_their_number() -> None:
    copies = Copies()
    for _ in range(3):
        assert status_of_child(copies.end_here) == STATUS
    told = copies.news(report_all=True)
    assert told is not None
    assert told["count"] == 3
    assert told["detail"].startswith("3 child processes (the last one: pid ")
    assert told["detail"].endswith("the operation returned in it")


def test_a_flood_of_copies_is_few_incidents_that_together_count_all() -> None:
    copies, told = Copies(), []
    for _ in range(40):
        status_of_child(copies.end_here)
        told.append(copies.news(report_all=False))
    told.append(copies.news(report_all=True))
    counts = [each["count"] for each in told if each is not None]
    assert sum(counts) == 40
    assert len(counts) < 8


def handled(error: BaseException, copies: Copies) -> None:
    try:
        raise error
    finally:
        copies.end_here()


@pytest.mark.parametrize(("code", "status"), [(None, 0), (0, 0), (3, 3), ("no licence", 1)])
def test_a_copy_that_leaves_by_system_exit_ends_as_it_meant_to_and_is_no_incident(code: object, status: int) -> None:
    copies = Copies()
    assert status_of_child(lambda: handled(SystemExit(code), copies)) == status
    assert copies.news(report_all=True) is None


class Unprintable(Exception):
    def __str__(self) -> str:
        raise ValueError("not even this")


@pytest.mark.parametrize("error", [Unprintable(), RuntimeError("x" * 100_000), RuntimeError("\udcff"), MemoryError()])
def test_whatever_a_copy_raised_it_ends_and_is_counted(error: Exception) -> None:
    copies = Copies()
    assert status_of_child(lambda: copies.end_here(error)) == STATUS
    told = copies.news(report_all=True)
    assert told is not None
    assert told["count"] == 1
    assert len(told["detail"]) < LONGEST_REASON_BYTES + 200


@pytest.mark.parametrize("send", [lambda pipe: pipe.send("bye", {}), lambda pipe: pipe.drain(5.0)])
def test_a_copy_sends_nothing_and_does_not_send_again_what_the_worker_has_pending(
    send: Callable[[RecordPipe], None],
) -> None:
    end, begin = os.pipe()
    os.set_blocking(end, False)
    pipe = RecordPipe(begin, "mine", 0)
    while not pipe._pending:
        pipe.send("incident", {"what": "operation_error", "detail": "x" * 1000})
    while True:
        try:
            os.read(end, 1 << 20)
        except BlockingIOError:
            break
    assert status_of_child(lambda: send(pipe)) == STATUS
    with pytest.raises(BlockingIOError):
        os.read(end, 1)
    assert pipe.copies.news(report_all=True) is not None
    os.close(end)
    os.close(begin)


def test_a_probe_child_of_soakds_own_that_fails_in_its_first_line_ends_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RecursionError

    monkeypatch.setattr(fork, "_be_the_child", fail)
    child = fork.ForkedChild.start(dict)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    result = child.poll()
    assert result is not None
    assert result.failure == "ended with status 1 without a result"
