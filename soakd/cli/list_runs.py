"""`soakd list`: lists the runs, each with its verdict."""

import argparse
import sys
from pathlib import Path

from soakd.errors import JournalError
from soakd.plaintext import escaped
from soakd.record import run_folder, verdict_file
from soakd.record.run_folder import RunDir
from soakd.record.unstarted import NEVER_STARTED, is_unstarted, list_unstarted


def list_runs(options: argparse.Namespace) -> int:
    """List the runs, oldest first, each with its verdict."""
    folder = Path(options.runs)
    listed = {run.path: run for run in [*run_folder.list_runs(folder), *list_unstarted(folder)]}
    runs = [(found, *_state_of(found)) for found in sorted(listed.values(), key=run_folder.by_age)]
    if options.json:
        told = [
            {"run": found.run_id, "path": str(found.path), "state": state, "summary": words}
            for found, state, words in runs
        ]
        sys.stdout.write(run_folder.to_json({"runs": told}))
        return 0
    for found, state, words in runs:
        print(escaped(f"{found.run_id:40}  {state:13} {words}"))
    return 0


def _state_of(found: RunDir) -> tuple[str, str]:
    """Return a run's state and summary for the list; a damaged run must not hide the others."""
    if is_unstarted(found):
        if found.is_running():
            return "RUNNING", "begins"
        return "UNSTARTED", f"{NEVER_STARTED}; soakd prune removes it"
    try:
        read = verdict_file.read(found)
    except JournalError as error:
        return ("RUNNING" if found.is_running() else "UNKNOWN"), str(error)
    note = "" if read.is_sealed else " (not sealed)"
    return ("RUNNING" if found.is_running() else read.verdict.verdict), read.verdict.summary + note
