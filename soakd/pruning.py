"""Which runs may go, and what that frees. A run that is written now, or may still be resumed, never goes."""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from soakd.errors import PreflightError
from soakd.rundir import RunDir


@dataclass(frozen=True, slots=True)
class Prunable:
    """A run that may go."""

    run: RunDir
    bytes: int
    """What its folder takes on the disk."""


def prunable(
    runs: Sequence[RunDir], is_finished: Callable[[RunDir], bool], *, keep: int, older_than_s: float, now_s: float
) -> Iterator[Prunable]:
    """Yield the finished runs that may go, oldest first.

    Args:
        runs: oldest first.
        is_finished: tells of a run that no daemon holds whether there is nothing to go on with.
        keep: so many of the newest finished runs stay, however old.
        older_than_s: a run stays whose journal was written less than so many seconds ago.
        now_s: wall seconds since 1970.
    """
    finished = [run for run in runs if not run.path.is_symlink() and not run.is_running() and is_finished(run)]
    for run in finished[: len(finished) - keep if keep else None]:
        if now_s - run.journal.stat().st_mtime >= older_than_s:
            yield Prunable(run, sum(_sizes(run.path)))


def remove(run: RunDir) -> None:
    """Remove a run with everything in its folder; it is locked meanwhile, so that nobody resumes it.

    Raises:
        PreflightError: it is in use by now, or cannot be removed.
    """
    try:
        run.lock()
        shutil.rmtree(run.path)
    except OSError as error:
        raise PreflightError(f"{run.path}: cannot be removed: {error.strerror}") from error
    finally:
        run.unlock()


def _sizes(folder: Path) -> Iterator[int]:
    for place, _, names in os.walk(folder):
        yield from ((Path(place) / name).lstat().st_blocks * 512 for name in names)
