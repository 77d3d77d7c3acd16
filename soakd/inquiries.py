"""What the commands do that ask about runs: how they stand, what changed, the report. Belongs to the command line."""

import argparse
import contextlib
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from soakd import journal, remote, rundir
from soakd.diff import changed_packages, diff_heaps, diff_runs, differences
from soakd.errors import ConfigError, JournalError, PreflightError, RefusedError
from soakd.flames import collect
from soakd.plaintext import escaped
from soakd.standing import Standing
from soakd.units import format_bytes, parse_duration
from soakd.upkeep import read_verdict

TOP_EVERY_S = 1.0
REFUSED = 2
"""What was asked for was not to be had of every engine."""
DIFF_CODES: Mapping[str, int] = {"same": 0, "new": 1, "unknown": 3}


def diff(options: argparse.Namespace) -> int:
    """Compare two runs, or two moments of one."""
    from soakd.display import differences as lines

    runs = [rundir.find(name, Path(options.runs)) for name in options.run]
    moments = [_moment(flag, getattr(options, flag)) for flag in ("from", "to")]
    asked = any(moment is not None for moment in moments)
    if len(runs) != (1 if asked else 2):
        raise ConfigError("diff: give either two runs, or one run with --from and --to")
    if asked:
        result = diff_heaps(runs[0], *moments)
        text = lines.heap_lines(result)
    else:
        before, after = runs
        unlike = differences(journal.read_meta(before.journal), journal.read_meta(after.journal))
        environments = [journal.read_records(run.journal, "hello", "phase") for run in (before, after)]
        unlike["packages"] = changed_packages(*environments)
        result = diff_runs(read_verdict(before).content, read_verdict(after).content, unlike)
        text = lines.run_lines(result)
    if options.json:
        sys.stdout.write(rundir.to_json(result))
    else:
        for line in text:
            print(escaped(line))
    return DIFF_CODES[result["answer"]] if "answer" in result else 0


def report(options: argparse.Namespace) -> int:
    """Write the report of a run; the exit code says only whether that worked."""
    from soakd import reporting  # numpy loads only where something is computed
    from soakd.judge import end_with

    found = rundir.find(options.run, Path(options.runs))
    output = Path(options.output) if options.output else None
    if options.parent is not None:
        end_with(options.parent)
    paths = reporting.write_report(found, read_verdict(found).content, output=output)
    written = [(path, path.stat().st_size) for path in paths]
    if options.json:
        told = {"run": found.run_id, "files": [{"path": str(path), "bytes": size} for path, size in written]}
        sys.stdout.write(rundir.to_json(told))
    elif not options.quiet:
        for path, size in written:
            print(escaped(f"{path}: {format_bytes(size)}"))
    return 0


def status(options: argparse.Namespace) -> int:
    """Show how a run stands, on one screen."""
    from soakd.display import print_standing

    standing = Standing(rundir.find(options.run, Path(options.runs)))
    if options.json:
        sys.stdout.write(rundir.to_json(standing.as_dict()))
    else:
        print_standing(standing.status, standing.now_s, _aftermath(standing))
    standing.check_verdict()
    return 0


def top(options: argparse.Namespace) -> int:
    """Show a run's table while it goes on, until it ends or somebody has seen enough."""
    from soakd.display import LiveDisplay, print_standing

    standing = Standing(rundir.find(options.run, Path(options.runs)))
    if options.json:
        return _top_for_programs(standing)
    display = LiveDisplay(screen=True)
    if not display.shows:
        raise PreflightError("top: needs a terminal; soakd status shows a run once, and --json for programs")
    with contextlib.suppress(KeyboardInterrupt), display:
        while standing.run.is_running():
            standing.catch_up()
            display.update(standing.status, standing.now_s)
            time.sleep(TOP_EVERY_S)
    standing.catch_up()
    print_standing(standing.status, standing.now_s, _aftermath(standing))
    standing.check_verdict()
    return 0


def _top_for_programs(standing: Standing) -> int:
    """Write how a run stands, one line of JSON each time; the last one when it has ended."""
    goes_on = True
    with contextlib.suppress(KeyboardInterrupt):
        while goes_on:
            goes_on = standing.run.is_running()
            standing.catch_up()
            print(rundir.to_json_line(standing.as_dict()), flush=True)
            time.sleep(TOP_EVERY_S if goes_on else 0)
    standing.check_verdict()
    return 0


def _aftermath(standing: Standing) -> str | None:
    """Say what there is to do about a run that nobody writes; None while its daemon lives."""
    if standing.run.is_running():
        return None
    if standing.status.ended_for is None:
        return f"no soakd writes this run: soakd run --resume {standing.run.path} goes on with it"
    return f"ended ({standing.status.ended_for}): soakd verdict {standing.run.path} shows its verdict"


def flamegraph(options: argparse.Namespace) -> int:
    """Write the flame graphs of a run as one page."""
    from soakd.report import flamegraph as graphs

    run = rundir.find(options.run, Path(options.runs))
    flames = collect(run, options.engine)
    if not flames:
        of = f"engine {options.engine}" if options.engine else "any engine"
        raise JournalError(f"{run.path}: no deep look has named anything that grows in {of}: there is nothing to draw")
    path = Path(options.output) if options.output else run.path / rundir.FLAMES
    title = f"{run.run_id}: {options.engine}" if options.engine else run.run_id
    rundir.write_atomically(path, graphs.page(title, flames))
    for flame in flames:
        if flame.note:
            said = f"soakd: {flame.engine}: {flame.note}: drawn from the sites that were named"
            print(escaped(said), file=sys.stderr)
    print(escaped(f"wrote {path}"))
    return 0


def snapshot(options: argparse.Namespace) -> int:
    """Have a run that goes on take heap snapshots, or deep looks; show each as it comes."""
    from soakd.display import snapshots as lines

    run, engine = remote.find(options.run, Path(options.runs))
    names = [options.engine or engine] if options.engine or engine else remote.engines_of(run)
    answers: list[dict[str, Any]] = []
    refused: list[dict[str, str]] = []
    for name in map(str, names):
        try:
            answer = remote.ask(run, name, deep=options.deep)
        except JournalError as error:
            goes_on = isinstance(error, RefusedError)  # the others may have theirs
            if not goes_on and not answers:
                raise
            refused.append({"engine": name, "why": str(error)})
            print(escaped(f"soakd: {error}"), file=sys.stderr)
            if goes_on:
                continue
            break
        if not options.json:
            print("\n" * bool(answers) + "\n".join(map(escaped, lines.snapshot_lines(answer))), flush=True)
        answers.append(answer)
    if options.json:
        sys.stdout.write(rundir.to_json({"run_id": run.run_id, "engines": answers, "refused": refused}))
    return REFUSED if refused else 0


def _moment(flag: str, text: str | None) -> float | None:
    try:
        return None if text is None else parse_duration(text)
    except ValueError as error:
        raise ConfigError(f"--{flag}: {error}") from error
