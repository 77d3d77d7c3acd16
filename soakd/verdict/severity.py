"""The answers that a check may have, which of two is worse, and which checks may decide."""

from collections.abc import Mapping, Sequence
from typing import Literal

from soakd.wire.spec import DECIDING_ROLES

State = Literal["PASS", "FAIL", "INCONCLUSIVE", "INVALID", "INCOMPLETE"]
SERVER_CHECKS = ("stability.server", "evidence.server", "recovery.server")
SERVER_GROWTH = "growth.server_"


def is_of_the_server(check_id: str) -> bool:
    """Tell whether a check asks about the server of an engine rather than about the engine."""
    return check_id in SERVER_CHECKS or check_id.startswith(SERVER_GROWTH)


def may_decide(role: str | None, check_id: str) -> bool:
    """Return whether a check that is not informational decides the verdict of a run.

    Those of subjects and twins do, and those of the run itself, which have no role. Of a rival, those of its server do:
    they are informational unless it is judged.
    """
    return role is None or role in DECIDING_ROLES or (role != "control" and is_of_the_server(check_id))


SEVERITY: Mapping[State, int] = {"PASS": 0, "INCONCLUSIVE": 1, "INCOMPLETE": 2, "INVALID": 3, "FAIL": 4}


def worst(states: Sequence[State]) -> State:
    """Fold verdicts: FAIL > INVALID > INCOMPLETE > INCONCLUSIVE > PASS. Nothing to fold is never a PASS."""
    return max(states, key=SEVERITY.__getitem__, default="INCONCLUSIVE")
