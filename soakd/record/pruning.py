"""Selects runs to remove, and the space that frees: never a live one, and one that may be resumed only on request."""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from soakd.errors import JournalError, PreflightError
from soakd.record import journal, run_folder
from soakd.record.run_folder import RunDir
from soakd.setup.settings import Retention
from soakd.units import format_bytes, format_duration

IsFinished = Callable[[RunDir], bool]
"""Returns whether a run that no daemon holds is finished, so that it cannot be resumed."""


@dataclass(frozen=True, slots=True)
class Prunable:
    """A run that may be removed."""

    run: RunDir
    bytes: int
    """The disk space of its folder."""
    why: str = ""
    is_finished: bool = True
    """False if it may still be resumed: it is then removed only on request."""


def prunable(
    runs: Sequence[RunDir], is_finished: IsFinished, *, keep: int, older_than_s: float, now_s: float,
    unfinished: bool = False,
) -> Iterator[Prunable]:  # fmt: skip
    """Yield the runs that may be removed, oldest first.

    Args:
        runs: oldest first.
        is_finished: see `IsFinished`.
        keep: the number of newest runs to keep, however old.
        older_than_s: keep runs whose journal was written more recently than this.
        now_s: wall seconds since 1970.
        unfinished: include runs that may still be resumed.
    """
    ended = [(run, is_finished(run)) for run in _not_running(runs)]
    found = [(run, finished) for run, finished in ended if finished or unfinished]
    for run, finished in found[: len(found) - keep if keep else None]:
        if now_s - _written_s(run) >= older_than_s:
            yield Prunable(run, _bytes(run), "" if finished else "was unfinished", finished)


def surplus(
    runs: Sequence[RunDir], is_finished: IsFinished, *, name: str, retention: Retention, now_s: float
) -> Iterator[Prunable]:
    """Yield the runs of one name that exceed a bound of its retention, oldest first.

    Those that may still be resumed are included if they are too old, or if the others do not fit beside them; they are
    marked, and must not be removed without a request.

    Args:
        runs: oldest first.
        is_finished: see `IsFinished`.
        name: `run.name` of the configuration; runs of other names are kept.
        retention: the bounds.
        now_s: wall seconds since 1970.
    """
    mine = [run for run in runs if not run.path.is_symlink() and _name_of(run) == name]
    sizes = {run.run_id: _bytes(run) for run in mine}
    taken = sum(sizes.values())
    idle = [(run, is_finished(run)) for run in _not_running(mine)]
    newer = sum(finished for _, finished in idle)
    for run, finished in idle:
        newer -= finished
        age_s = now_s - _written_s(run)
        why = ""
        if retention.runs is not None and finished and newer >= retention.runs:
            why = f"{retention.runs} newer ones are kept (retention.runs)"
        elif retention.age_s is not None and age_s > retention.age_s:
            why = f"ended {format_duration(age_s)} ago, {format_duration(retention.age_s)} are kept (retention.age)"
        elif retention.size_bytes is not None and taken > retention.size_bytes and (newer or not finished):
            allowed = format_bytes(retention.size_bytes)
            why = f"runs take {format_bytes(taken)}, {allowed} are allowed (retention.size)"
        if why:
            if finished:
                taken -= sizes[run.run_id]
            yield Prunable(run, sizes[run.run_id], why, finished)


def leftovers(runs: Sequence[RunDir], *, older_than_s: float = 0.0, now_s: float) -> Iterator[Prunable]:
    """Yield the folders of runs that never started, except those of a soakd that is just starting.

    Args:
        runs: folders without a run in them.
        older_than_s: keep folders created more recently than this.
        now_s: wall seconds since 1970.
    """
    for run in _not_running(runs):
        if now_s - run_folder.by_age(run)[0] >= older_than_s:
            yield Prunable(run, _bytes(run), "it never started")


def remove(run: RunDir) -> None:
    """Remove a run with its folder, locked so that it cannot be resumed at the same time.

    Raises:
        PreflightError: it is in use, or cannot be removed.
    """
    try:
        run.lock()
        shutil.rmtree(run.path)
    except OSError as error:
        raise PreflightError(f"{run.path}: cannot be removed: {error.strerror}") from error
    finally:
        run.unlock()


def _not_running(runs: Sequence[RunDir]) -> list[RunDir]:
    return [run for run in runs if not run.path.is_symlink() and not run.is_running()]


def _name_of(run: RunDir) -> str | None:
    """Return `run.name` of a run's configuration; None if the journal does not have it."""
    try:
        name: str = journal.read_meta(run.journal)["plan"]["config"]["run"]["name"]
    except (JournalError, KeyError, TypeError):
        return None
    return name


def _written_s(run: RunDir) -> float:
    return run.journal.stat().st_mtime


def _bytes(run: RunDir) -> int:
    return sum(_sizes(run.path))


def _sizes(folder: Path) -> Iterator[int]:
    for place, _, names in os.walk(folder):
        yield from ((Path(place) / name).lstat().st_blocks * 512 for name in names)
