"""Why a run ends: of several causes the greatest counts."""

import itertools
import signal

import pytest

from soakd.daemon import ending
from soakd.daemon.ending import EXIT_FAILED, EXIT_LEFT, Ending

IN_ORDER = (
    Ending(), ending.cut_short("memory_reserve"), ending.interrupted(signal.SIGINT), ending.failed("no room"),
    ending.left("SIGHUP"),
)  # fmt: skip


def test_a_run_that_ends_by_itself_is_completed_and_its_verdict_decides_the_exit_code() -> None:
    assert Ending().record_body() == {"name": "end", "reason": "completed", "signal": None}
    assert (Ending().exit_code, Ending().is_resumable) == (None, False)


@pytest.mark.parametrize(
    ("why", "body", "code"),
    [
        (ending.cut_short("disk_full"), {"name": "end", "reason": "disk_full", "signal": None}, None),
        (ending.interrupted(), {"name": "end", "reason": "interrupted", "signal": None}, None),
        (ending.interrupted(signal.SIGTERM), {"name": "end", "reason": "interrupted", "signal": "SIGTERM"}, 143),
        (ending.failed("no room"), {"name": "end", "reason": "failed", "signal": None}, EXIT_FAILED),
        (ending.left("SIGHUP"), {"name": "left", "reason": "SIGHUP"}, EXIT_LEFT),
        (ending.left("reboot", signal.SIGTERM), {"name": "left", "reason": "reboot"}, EXIT_LEFT),
    ],
)  # fmt: skip
def test_each_cause_has_its_record_and_exit_code(why: Ending, body: dict[str, object], code: int | None) -> None:
    assert (why.record_body(), why.exit_code) == (body, code)
    assert why.is_resumable == (body["name"] == "left")


@pytest.mark.parametrize(("lesser", "greater"), list(itertools.combinations(IN_ORDER, 2)))
def test_the_greater_cause_counts_whichever_came_first(lesser: Ending, greater: Ending) -> None:
    for both in (lesser.joined_by(greater), greater.joined_by(lesser)):
        assert (both.cause, both.reason, both.failure) == (greater.cause, greater.reason, greater.failure)


def test_a_failure_after_a_signal_keeps_the_signal_in_the_record_and_the_exit_code_of_a_failure() -> None:
    both = ending.interrupted(signal.SIGINT).joined_by(ending.failed("no room"))
    assert both.record_body() == {"name": "end", "reason": "failed", "signal": "SIGINT"}
    assert both.exit_code == EXIT_FAILED


def test_a_cause_that_comes_again_changes_nothing() -> None:
    for why in IN_ORDER:
        assert why.joined_by(why) == why
    assert ending.failed("first").joined_by(ending.failed("second")).failure == "first"
