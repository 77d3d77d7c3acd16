"""Folders of runs that never started, because soakd was killed before the journal had a plan."""

import re
import shutil
from pathlib import Path

from soakd.errors import PreflightError
from soakd.record import journal, run_folder
from soakd.record.own_files import is_empty_file
from soakd.record.run_folder import RunDir

EARLY = frozenset(
    {
        run_folder.LOCK,
        run_folder.TOKEN,
        run_folder.ADDRESS,
        run_folder.CONFIG,
        run_folder.NOTIFY,
        run_folder.SECRETS,
        run_folder.ENVIRONMENT,
        run_folder.VERDICT,
        run_folder.SERVERS,
        run_folder.IMPORTS,
        run_folder.JOURNAL,
        f"{run_folder.JOURNAL}-wal",
        f"{run_folder.JOURNAL}-shm",
    }
)
"""Files that soakd creates in a folder before its run begins."""
_BEGUN = re.compile(r"-[0-9]{8}T[0-9]{6}Z(?:-[0-9]{1,4}+)?")
NEVER_STARTED = "never started: its soakd ended before there was anything to record"


def is_unstarted(run: RunDir) -> bool:
    """Return whether a folder has only soakd's own files and no run, because it never started, or not yet."""
    try:
        names = {path.name for path in run.path.iterdir()}
    except OSError:
        return False
    if run_folder.LOCK not in names or not is_empty_file(run.path / run_folder.LOCK):
        return False
    return all(map(_is_early, names)) and not journal.has_begun(run.journal)


def list_unstarted(runs: Path) -> list[RunDir]:
    """List the folders of runs that never started, oldest first, including those that are just starting."""
    if not runs.is_dir():
        return []
    found = [RunDir(path) for path in runs.iterdir() if path.is_dir() and not path.is_symlink()]
    return sorted(filter(is_unstarted, found), key=run_folder.by_age)


def belongs_to(run: RunDir, name: str) -> bool:
    """Return whether a folder has the name that soakd gives to runs of this `run.name`."""
    return run.run_id.startswith(name) and _BEGUN.fullmatch(run.run_id[len(name) :]) is not None


def clear(run: RunDir) -> None:
    """Empty such a folder, so that a run can begin in it; its lock is kept.

    Raises:
        PreflightError: it is in use, or cannot be written.
    """
    try:
        run.lock()
        for path in run.path.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.name != run_folder.LOCK:
                path.unlink()
    except OSError as error:
        raise PreflightError(f"{run.path}: cannot be used as run directory: {error.strerror}") from error
    finally:
        run.unlock()


def _is_early(name: str) -> bool:
    return name in EARLY or name.startswith(run_folder.HALF_WRITTEN)
