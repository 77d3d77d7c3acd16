"""Existing runs: which are finished, and which are removed to make room for a new one."""

import argparse
from collections.abc import Iterator
from pathlib import Path

from soakd.cli.stderr import complain
from soakd.errors import JournalError, PreflightError
from soakd.plaintext import escaped
from soakd.procs import proc
from soakd.record import journal, pruning, resume, run_folder, verdict_file
from soakd.record.run_folder import RunDir
from soakd.record.unstarted import belongs_to, list_unstarted
from soakd.setup.plan import Plan
from soakd.setup.settings import Retention
from soakd.units import format_bytes


def is_finished(run: RunDir) -> bool:
    """Return whether a run is sealed and judged, or never can be; report a damaged run, and skip it."""
    try:
        if resume.is_sealed(run.journal):
            return verdict_file.read(run).verdict.verdict != "INCOMPLETE"
        journal.check_whole(run.journal)
        return "plan" not in journal.read_meta(run.journal)  # killed before it began: nothing to resume
    except JournalError as error:
        complain(escaped(f"{error}; it is not resumed"))
        return True


def folders(runs: Path) -> tuple[list[RunDir], list[RunDir]]:
    """Return the folders of runs that never started, and the other runs."""
    unstarted = list_unstarted(runs)
    never = {run.path for run in unstarted}
    return unstarted, [run for run in run_folder.list_runs(runs) if run.path not in never]


def beyond(
    unstarted: list[RunDir], runs: list[RunDir], name: str, retention: Retention
) -> Iterator[pruning.Prunable]:  # fmt: skip
    """Return the runs of a name that its retention removes, and those that never started."""
    now_s = proc.now().wall_s
    yield from pruning.leftovers([run for run in unstarted if belongs_to(run, name)], now_s=now_s)
    yield from pruning.surplus(runs, is_finished, name=name, retention=retention, now_s=now_s)


def kept(one: pruning.Prunable) -> str:
    """Report that a run beyond the retention is kept because it may still be resumed."""
    return (
        f"kept {one.run.path}: {format_bytes(one.bytes)}: {one.why}, but it is unfinished: "
        "soakd run --resume continues it, soakd prune CONFIG --unfinished removes it"
    )


def make_room(plan: Plan, options: argparse.Namespace) -> None:
    """Remove runs beyond `[retention]` before a run begins; a failure to remove does not stop the run."""
    for one in beyond_retention(plan, options):
        if not one.is_finished:
            complain(escaped(f"retention: {kept(one)}"))
            continue
        try:
            pruning.remove(one.run)
            complain(escaped(f"retention: removed {one.run.path}: {format_bytes(one.bytes)}: {one.why}"))
        except PreflightError as error:
            complain(f"warning: retention: {error}")


def beyond_retention(plan: Plan, options: argparse.Namespace) -> list[pruning.Prunable]:
    """Return the runs that `[retention]` removes; none if the run's folder was chosen with --run-dir."""
    retention = plan.config.retention
    if options.run_dir or retention == Retention():
        return []
    return list(beyond(*folders(Path(options.runs)), plan.config.run.name, retention))
