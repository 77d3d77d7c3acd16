"""Runs that are there already: which are finished, and which of those go. Belongs to the command line: it may print."""

import argparse
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

from soakd import config, journal, processes, pruning, resumption, rundir, verdictfile
from soakd.errors import ConfigError, JournalError, PreflightError
from soakd.plaintext import escaped
from soakd.plan import Plan
from soakd.rundir import RunDir
from soakd.settings import Retention
from soakd.units import format_bytes, parse_duration
from soakd.unstarted import belongs_to, list_unstarted
from soakd.verdictfile import VerdictFile


def read_verdict(found: RunDir) -> VerdictFile:
    """Read the verdict file of a run that a command shows or compares; one that is not sealed is noted.

    Raises:
        BrokenVerdictError: it is no verdict, or was changed after it was written.
        JournalError: it is missing.
    """
    read = verdictfile.read(found)
    if not read.is_sealed:
        print(escaped(f"soakd: note: {found.verdict}: {verdictfile.NOT_SEALED}"), file=sys.stderr)
    return read


def is_finished(run: RunDir) -> bool:
    """Tell whether a run has been sealed and judged, or can never be; a damaged one is in nobody's way, and said."""
    try:
        if resumption.is_sealed(run.journal):
            return bool(verdictfile.read(run).content["verdict"] != "INCOMPLETE")
        journal.check_whole(run.journal)
        return "plan" not in journal.read_meta(run.journal)  # killed before it had begun: nothing to go on with
    except JournalError as error:
        print(escaped(f"soakd: {error}; it is not resumed"), file=sys.stderr)
        return True


def prune(options: argparse.Namespace) -> int:
    """Remove old runs; one that is written now never, one that may still be resumed only where that is said."""
    unstarted, runs = _folders(Path(options.runs))
    found = list(_prunable(unstarted, runs, options))
    gone: list[pruning.Prunable] = []
    failed = False
    for one in found:
        if not (one.is_finished or options.unfinished):
            print(escaped(kept(one)))
            continue
        try:
            if not options.dry_run:
                pruning.remove(one.run)
        except PreflightError as error:
            failed = True
            print(f"soakd: {error}", file=sys.stderr)
            continue
        gone.append(one)
        said = "would remove" if options.dry_run else "removed"
        print(escaped(f"{said} {one.run.path}: {format_bytes(one.bytes)}{f': {one.why}' if one.why else ''}"))
    freed = format_bytes(sum(one.bytes for one in gone))
    there = len(unstarted) + len(runs)
    print(f"{len(gone)} of {there} runs, {freed} {'would be freed' if options.dry_run else 'freed'}")
    return 2 if failed else 0


def _folders(runs: Path) -> tuple[list[RunDir], list[RunDir]]:
    """Return the folders of runs that never started, and the runs."""
    unstarted = list_unstarted(runs)
    never = {run.path for run in unstarted}
    return unstarted, [run for run in rundir.list_runs(runs) if run.path not in never]


def _prunable(
    unstarted: list[RunDir], runs: list[RunDir], options: argparse.Namespace
) -> Iterator[pruning.Prunable]:  # fmt: skip
    """Find what the options mean: the bounds of a configuration, or those of the command line."""
    now_s = processes.now().wall_s
    by_hand = options.keep is not None or options.older_than
    if options.config is not None:
        loaded = config.load(Path(options.config))
        if by_hand:
            raise ConfigError(
                "prune: give either CONFIG, whose [retention] says what stays, or --keep and --older-than"
            )
        if loaded.retention == Retention():
            raise ConfigError(f"{options.config}: retention: has no bound; known keys: age, runs, size")
        return _beyond(unstarted, runs, loaded.run.name, loaded.retention)
    try:
        older_than_s = parse_duration(options.older_than) if options.older_than else 0.0
    except ValueError as error:
        raise ConfigError(f"--older-than: {error}") from error
    if (options.keep or 0) < 0 or not by_hand:
        raise ConfigError("prune: give --keep N (0 or more), --older-than D, or both; or a CONFIG with [retention]")
    old = pruning.prunable(
        runs, is_finished, keep=options.keep or 0, older_than_s=older_than_s, now_s=now_s,
        unfinished=options.unfinished,
    )  # fmt: skip
    return itertools.chain(pruning.leftovers(unstarted, older_than_s=older_than_s, now_s=now_s), old)


def _beyond(
    unstarted: list[RunDir], runs: list[RunDir], name: str, retention: Retention
) -> Iterator[pruning.Prunable]:  # fmt: skip
    """Find the runs of a name that its retention lets go, and those that never started."""
    now_s = processes.now().wall_s
    yield from pruning.leftovers([run for run in unstarted if belongs_to(run, name)], now_s=now_s)
    yield from pruning.surplus(runs, is_finished, name=name, retention=retention, now_s=now_s)


def kept(one: pruning.Prunable) -> str:
    """Say of a run that would go, and may still be resumed, that it stays."""
    return (
        f"kept {one.run.path}: {format_bytes(one.bytes)}: {one.why}, but it is unfinished: "
        "soakd run --resume goes on with it, soakd prune CONFIG --unfinished removes it"
    )


def make_room(plan: Plan, options: argparse.Namespace) -> None:
    """Remove what is beyond `[retention]`, before a run begins; what cannot be removed stops no run."""
    for one in beyond_retention(plan, options):
        if not one.is_finished:
            print(escaped(f"soakd: retention: {kept(one)}"), file=sys.stderr)
            continue
        try:
            pruning.remove(one.run)
            said = f"soakd: retention: removed {one.run.path}: {format_bytes(one.bytes)}: {one.why}"
            print(escaped(said), file=sys.stderr)
        except PreflightError as error:
            print(f"soakd: warning: retention: {error}", file=sys.stderr)


def beyond_retention(plan: Plan, options: argparse.Namespace) -> list[pruning.Prunable]:
    """Return what `[retention]` lets go; nothing for a run in a folder of its own choosing."""
    retention = plan.config.retention
    if options.run_dir or retention == Retention():
        return []
    return list(_beyond(*_folders(Path(options.runs)), plan.config.run.name, retention))
