"""The states of a check, their order, and which checks may decide."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from soakd.wire.spec import DECIDING_ROLES

State = Literal["PASS", "FAIL", "INCONCLUSIVE", "INVALID", "INCOMPLETE"]
SERVER_CHECKS = ("stability.server", "evidence.server", "recovery.server")
SERVER_GROWTH = "growth.server_"


def is_of_the_server(check_id: str) -> bool:
    """Return whether a check is about the server of an engine rather than about the engine."""
    return check_id in SERVER_CHECKS or check_id.startswith(SERVER_GROWTH)


def may_decide(role: str | None, check_id: str) -> bool:
    """Return whether a check that is not informational decides the verdict of a run.

    Checks of subjects and twins do, and those of the run itself, which have no role. For a rival, those of its server
    do, which are informational unless the server is judged.
    """
    return role is None or role in DECIDING_ROLES or (role != "control" and is_of_the_server(check_id))


SEVERITY: Mapping[State, int] = {"PASS": 0, "INCONCLUSIVE": 1, "INCOMPLETE": 2, "INVALID": 3, "FAIL": 4}


def worst_known(states: Iterable[State | None]) -> State | None:
    """Return the most severe of some states; None if none is known."""
    return max((state for state in states if state is not None), key=SEVERITY.__getitem__, default=None)


def worst(states: Sequence[State]) -> State:
    """Return the worst verdict: FAIL > INVALID > INCOMPLETE > INCONCLUSIVE > PASS. Without any it is never a PASS."""
    return max(states, key=SEVERITY.__getitem__, default="INCONCLUSIVE")
