"""Who is told outlives the daemon: in a file that the run's user alone may read, gone when the run is sealed."""

import contextlib
import dataclasses
import json
from pathlib import Path

from soakd.planfile import notify_from_dict
from soakd.rundir import NOTIFY, write_atomically
from soakd.settings import Notify


def keep(folder: Path, settings: Notify) -> None:
    """Write who is told, for the daemon that may have to go on with the run; nothing where nobody is.

    Raises:
        JournalError: it cannot be written.
    """
    if settings.command or settings.webhook:
        write_atomically(folder / NOTIFY, json.dumps(dataclasses.asdict(settings)) + "\n", mode=0o600)


def kept(folder: Path) -> Notify | None:
    """Read who is told; None where nothing was kept, or it cannot be read."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        return notify_from_dict(json.loads((folder / NOTIFY).read_text(encoding="utf-8")))
    return None


def forget(folder: Path) -> None:
    """Remove what was kept."""
    with contextlib.suppress(OSError):
        (folder / NOTIFY).unlink(missing_ok=True)
