"""What preflight reports: one line, and how grave it is."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that preflight noticed."""

    level: Literal["error", "warning", "note"]
    text: str
