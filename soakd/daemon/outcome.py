"""How a run ended, as its daemon saw it."""

import signal
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Outcome:
    """How a run ended."""

    verdict: dict[str, Any]
    signal: signal.Signals | None
    failure: str | None
    left: str | None = None
    """Why the run was left as it is, to be resumed; the verdict is empty then."""
