"""What a daemon needs to resume a run but no copy may contain: secrets, and the recipients of notifications.

It is kept in files that only the run's user can read, until the run is sealed. The journal has the plan without it.
"""

import contextlib
import dataclasses
import json
from pathlib import Path
from typing import Any

from soakd.errors import JournalError
from soakd.record.run_folder import NOTIFY, SECRETS, write_atomically
from soakd.setup.plan import Plan
from soakd.setup.plan_json import notify_from_dict, secret_options, with_options
from soakd.setup.settings import Notify


def keep(folder: Path, plan: Plan) -> None:
    """Write the recipients, and the options of engines that contain secrets, if there are any.

    Raises:
        JournalError: it cannot be written.
    """
    notify = plan.config.notify
    if notify.command or notify.webhook:
        write_atomically(folder / NOTIFY, json.dumps(dataclasses.asdict(notify)) + "\n", mode=0o600)
    if options := secret_options(plan):
        write_atomically(folder / SECRETS, json.dumps(options) + "\n", mode=0o600)


def kept_notify(folder: Path) -> Notify | None:
    """Read the recipients; None if nothing was kept, or it cannot be read."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        return notify_from_dict(json.loads((folder / NOTIFY).read_text(encoding="utf-8")))
    return None


def restored(folder: Path, plan: Plan) -> Plan:
    """Return a plan with its secrets restored.

    Raises:
        JournalError: a secret is missing.
    """
    options: Any = {}
    with contextlib.suppress(OSError, ValueError):
        options = json.loads((folder / SECRETS).read_text(encoding="utf-8"))
    try:
        return with_options(plan, options if isinstance(options, dict) else {})
    except JournalError as error:
        raise JournalError(f"{folder / SECRETS}: {error}: this run cannot be resumed") from error


def forget(folder: Path) -> None:
    """Remove the files."""
    for name in (NOTIFY, SECRETS):
        with contextlib.suppress(OSError):
            (folder / name).unlink(missing_ok=True)
