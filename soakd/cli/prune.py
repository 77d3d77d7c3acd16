"""`soakd prune`: removes old runs."""

import argparse
import itertools
from collections.abc import Iterator
from pathlib import Path

from soakd.cli.old_runs import beyond, folders, is_finished, kept
from soakd.cli.stderr import complain
from soakd.errors import ConfigError, PreflightError
from soakd.plaintext import escaped
from soakd.procs import proc
from soakd.record import pruning
from soakd.record.run_folder import RunDir
from soakd.setup import config
from soakd.setup.settings import Retention
from soakd.units import format_bytes, parse_duration


def prune(options: argparse.Namespace) -> int:
    """Remove old runs: never a running one, and one that may still be resumed only with --unfinished."""
    unstarted, runs = folders(Path(options.runs))
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
            complain(error)
            continue
        gone.append(one)
        said = "would remove" if options.dry_run else "removed"
        print(escaped(f"{said} {one.run.path}: {format_bytes(one.bytes)}{f': {one.why}' if one.why else ''}"))
    freed = format_bytes(sum(one.bytes for one in gone))
    there = len(unstarted) + len(runs)
    print(f"{len(gone)} of {there} runs, {freed} {'would be freed' if options.dry_run else 'freed'}")
    return 2 if failed else 0


def _prunable(
    unstarted: list[RunDir], runs: list[RunDir], options: argparse.Namespace
) -> Iterator[pruning.Prunable]:  # fmt: skip
    """Return the runs to remove, by the bounds of a configuration or of the command line."""
    now_s = proc.now().wall_s
    by_hand = options.keep is not None or options.older_than
    if options.config is not None:
        loaded = config.load(Path(options.config))
        if by_hand:
            raise ConfigError("prune: give either a CONFIG with [retention], or --keep and --older-than")
        if loaded.retention == Retention():
            raise ConfigError(f"{options.config}: retention: has no bound; known keys: age, runs, size")
        return beyond(unstarted, runs, loaded.run.name, loaded.retention)
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
