"""Why a run ends, as one value, and what follows from it."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from signal import Signals
from typing import Any

from soakd.verdict.types import Verdict

EXIT_LEFT = 75
"""EX_TEMPFAIL of sysexits.h: the run can be resumed."""
EXIT_FAILED = 5


class Cause(IntEnum):
    """What ends a run; of two causes the greater one counts."""

    COMPLETED = 0
    """The plan was run to its end."""
    CUT_SHORT = 1
    """soakd ends it: the host's memory or disk, or a resume that came too late."""
    INTERRUPTED = 2
    """It was asked for: by a signal, or on the page."""
    FAILED = 3
    """The record of the run cannot be kept: an unrecorded soak proves nothing."""
    LEFT = 4
    """This daemon goes, and the run goes on with the next one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """Why a run ends."""

    cause: Cause = Cause.COMPLETED
    reason: str = "completed"
    """As it is recorded."""
    failure: str | None = None
    """What failed, in words; None if nothing did."""
    signal: Signals | None = None
    """The signal that asked for the end; None without one."""

    @property
    def is_resumable(self) -> bool:
        """Whether the run is left as it is: no verdict seals it."""
        return self.cause is Cause.LEFT

    @property
    def exit_code(self) -> int | None:
        """The exit code of soakd; None where the verdict decides."""
        if self.cause is Cause.LEFT:
            return EXIT_LEFT
        if self.cause is Cause.FAILED:
            return EXIT_FAILED
        return None if self.signal is None else 128 + self.signal

    def joined_by(self, other: "Ending") -> "Ending":
        """Return what counts once another cause has come up: the greater one, of equals the first, with any signal."""
        counts = other if other.cause > self.cause else self
        return dataclasses.replace(counts, signal=self.signal or other.signal)

    def record_body(self) -> Mapping[str, Any]:
        """Return the body of the run's last record."""
        if self.is_resumable:
            return {"name": "left", "reason": self.reason}
        return {"name": "end", "reason": self.reason, "signal": self.signal.name if self.signal else None}


def cut_short(reason: str) -> Ending:
    """Return the ending of a run that soakd itself ends early."""
    return Ending(cause=Cause.CUT_SHORT, reason=reason)


def interrupted(number: Signals | None = None) -> Ending:
    """Return the ending of a run that is ended early from outside, by a signal or on the page."""
    return Ending(cause=Cause.INTERRUPTED, reason="interrupted", signal=number)


def failed(failure: str) -> Ending:
    """Return the ending of a run that cannot be recorded."""
    return Ending(cause=Cause.FAILED, reason="failed", failure=failure)


def left(reason: str, number: Signals | None = None) -> Ending:
    """Return the ending of a run that is to be resumed."""
    return Ending(cause=Cause.LEFT, reason=reason, signal=number)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run ended."""

    ending: Ending
    verdict: Verdict | None
    """None where the run can be resumed."""
