"""When a worker or a server that has ended is started again. Pure: ends go in, pauses come out."""

from dataclasses import dataclass

from soakd.setup.settings import Supervision

LONGEST_PAUSE_S = 60.0
MOST_DOUBLINGS = 100
"""A thousand restarts may be allowed, and 2**1024 is no float."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Harm:
    """A fault on purpose that a process suffers. The end that it causes is no failure of the process."""

    fault: str
    """The fault's name, which the incidents that follow bear."""
    at_once: bool = False
    """Start the process again without a pause."""


class Restarts:
    """The restarts of one worker or server: each failure doubles the pause, and there is a limit.

    Args:
        supervision: the limit, the first pause, and how long a life must last to forgive the failures before it.
        failures: those that count already, of a run that is resumed.
    """

    def __init__(self, supervision: Supervision, failures: int = 0) -> None:
        self.failures = failures
        """Ends that no healthy life has forgiven and that no fault on purpose caused."""
        self._supervision = supervision

    def pause_s(self, lasted_s: float, harm: Harm | None = None) -> float | None:
        """Count the end of a life; return the seconds until the next one begins, or None to give up.

        Args:
            lasted_s: how long the life lasted.
            harm: the fault on purpose that ended it, if one did.
        """
        if lasted_s >= self._supervision.healthy_after_s:
            self.failures = 0
        if harm is not None:
            return 0.0 if harm.at_once else min(LONGEST_PAUSE_S, self._supervision.restart_backoff_s)
        doublings = min(self.failures, MOST_DOUBLINGS)
        self.failures += 1
        if self.failures > self._supervision.max_restarts:
            return None
        return min(LONGEST_PAUSE_S, self._supervision.restart_backoff_s * 2.0**doublings)
