"""What each command does. Belongs to the command line: it may print."""

import argparse
import asyncio
import contextlib
import csv
import dataclasses
import faulthandler
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from soakd import journal, journald, keeping, preflight, processes, report, resumption, rundir, unitfiles, verdictfile
from soakd.changes import changed_keys
from soakd.errors import ConfigError, JournalError, PreflightError
from soakd.masking import mask
from soakd.notifyplan import kept_text
from soakd.plaintext import escaped, escaped_json
from soakd.plan import Plan
from soakd.preflight import trial
from soakd.readiness import plan_of, run_path, try_engines
from soakd.resumption import Resumption
from soakd.rundir import RunDir
from soakd.sdnotify import Notifier
from soakd.tables import read_text
from soakd.units import parse_growth_rate
from soakd.unstarted import NEVER_STARTED, clear, is_unstarted, list_unstarted
from soakd.upkeep import is_finished, make_room, read_verdict

CODES: Mapping[str, int] = {"PASS": 0, "FAIL": 1, "INCONCLUSIVE": 3, "INVALID": 4, "INCOMPLETE": 4}
LEFT = 75
"""EX_TEMPFAIL of sysexits.h: the run is to be resumed."""


def init(options: argparse.Namespace) -> int:
    """Write a commented configuration, never over an existing file."""
    path = Path(options.path)
    text = (Path(__file__).parent / "template.toml").read_text(encoding="utf-8")
    try:
        with open(path, "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise PreflightError(f"{path}: is there already; name another file") from None
    except OSError as error:
        raise PreflightError(f"{path}: cannot be written: {error.strerror}") from error
    print(f"wrote {path}; next: soakd check {path}, then soakd run {path}")
    return 0


def run(options: argparse.Namespace) -> int:
    """Run a soak; the exit code is its verdict."""
    found = None if options.resume is None else _unfinished(options)
    if found is not None and not is_unstarted(found):
        return _resume(found, options)
    if options.config is None:
        why = "give a configuration, or --resume with a run that is unfinished"
        if found is not None:
            why = f"{found.path}: {NEVER_STARTED}: give its configuration too, and it starts there"
        raise ConfigError(f"run: {why}")
    plan = plan_of(options)
    path = run_path(plan, options) if found is None else found.path
    make_room(plan, options)
    _refuse(list(preflight.check_host(plan, path)))
    _refuse(try_engines(plan, urls=options.try_urls))
    if is_unstarted(RunDir(path)):
        clear(RunDir(path))
    return _soak(plan, RunDir.create(path), options)


def _unfinished(options: argparse.Namespace) -> RunDir | None:
    """Find what `--resume` means: a run, or the newest of a folder that is unfinished; None where none is.

    Raises:
        JournalError: it names a run, and there is none.
    """
    if options.resume:
        runs = rundir.list_runs(Path(options.resume))
        if not runs:
            named = [RunDir(path) for path in (Path(options.resume), Path(options.runs) / options.resume)]
            return next(filter(is_unstarted, named), None) or rundir.find(options.resume, Path(options.runs))
    elif options.run_dir:
        chosen = RunDir(Path(options.run_dir))
        return chosen if chosen.journal.is_file() and not is_unstarted(chosen) else None
    else:
        runs = rundir.list_runs(Path(options.runs))
    return next((run for run in reversed(runs) if not is_finished(run)), None)


def _resume(run: RunDir, options: argparse.Namespace) -> int:
    """Go on with a run where another daemon left it; a finished one is shown."""
    found = RunDir.reopen(run.path)
    if resumption.is_sealed(found.journal):
        try:
            return _show_finished(found)
        finally:
            found.unlock()
    journal.check_whole(found.journal)
    resumed = resumption.look_back(found.journal, processes.now(), rundir.boot_id())
    resumed = dataclasses.replace(resumed, plan=keeping.restored(found.path, resumed.plan))
    if changed := _changed_keys(resumed.plan, options):
        said = f"{options.config}: changed since the run began ({', '.join(changed)}): it goes on as it began"
        print(f"soakd: warning: {said}", file=sys.stderr)
        resumed = dataclasses.replace(resumed, changed=changed)
    try:
        _refuse(asyncio.run(_resume_findings(resumed, found)))
    except PreflightError as error:
        print(
            f"soakd: {mask(str(error))}\nsoakd: {escaped(str(found.path))}: left unfinished; mend that, and resume it",
            file=sys.stderr,
        )
        found.unlock()
        return LEFT
    return _soak(resumed.plan, found, options, resumed)


async def _resume_findings(resumed: Resumption, found: RunDir) -> list[preflight.Finding]:
    return [finding async for finding in trial.check_again(resumed.plan, found.path, resumed.left_ratio)]


def _changed_keys(plan: Plan, options: argparse.Namespace) -> tuple[str, ...]:
    """Return what differs, in the file and on the command line, from what the run began with."""
    if options.config is None:
        return ()
    try:
        text = read_text(Path(options.config))
    except ConfigError:
        return ("it cannot be read",)
    given, kept = (tuple(mask(override) for override in each) for each in (options.set, plan.config.overrides))
    overrides = ("--set",) if given != kept else ()
    before, after = (kept_text(each, plan.config.notify) for each in (plan.config.text, text))
    return (*changed_keys(before, after), *overrides)


def _show_finished(found: RunDir) -> int:
    """Show the verdict of a run that is sealed; judge it first where its daemon did not come to that."""
    from soakd import judge as judging  # numpy, as above

    Notifier().ready("the run is finished")  # a service that ended well was one
    try:
        result = read_verdict(found).content
        if result["verdict"] != "INCOMPLETE":
            print(escaped(f"{found.path}: is finished, and not resumed"))
            _show(result, found)
            return CODES[result["verdict"]]
    except JournalError as error:
        print(f"soakd: {error}; it is judged now", file=sys.stderr)
    result = judging.judge(found, live=False)
    report.write(result, found)
    _show(result, found)
    return CODES[result["verdict"]]


def judge(options: argparse.Namespace) -> int:
    """Judge a run again and show the verdict, or judge the series of a CSV file."""
    if (options.run is None) == (options.csv is None):
        raise ConfigError("judge: give either a RUN or --csv FILE")
    return _judge_run(options) if options.csv is None else _judge_csv(options)


def _judge_run(options: argparse.Namespace) -> int:
    from soakd import judge as judging  # numpy and scipy load only where something is judged

    if options.parent is not None:
        judging.end_with(options.parent)
    found = rundir.find(options.run, Path(options.runs))
    if options.live:
        judging.be_nice()
    result = judging.judge(found, live=options.live)
    if not options.live:
        report.write(result, found)
        if options.parent is None and (found.path / rundir.REPORT).is_file():
            _renew_report(found, result)
    if options.json:
        sys.stdout.write(rundir.to_json(result))
    elif not options.quiet:
        _show(result, found)
    return CODES[result["verdict"]]


def _renew_report(found: RunDir, result: Mapping[str, Any]) -> None:
    """Let the report that is there say what the verdict now says; the exit code is the verdict's."""
    from soakd import reporting

    try:
        reporting.write_report(found, result, output=None)
    except JournalError as error:
        print(f"soakd: the report stays as it was: {error}", file=sys.stderr)


def _judge_csv(options: argparse.Namespace) -> int:
    from soakd import csvfile  # numpy, as above

    columns = csvfile.Columns(
        time=options.time, value=options.value, segment=options.segment, group=options.group, heap=options.heap,
        time_unit=options.time_unit, value_unit=options.value_unit, skip=options.skip,
    )  # fmt: skip
    rows = csvfile.judge_file(Path(options.csv), columns, _csv_limits(options))
    writer = csv.DictWriter(sys.stdout, csvfile.FIELDS, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    for row in rows:
        if row["verdict"] == "INCONCLUSIVE":
            print(escaped(f"soakd: {row['id']}: {row['reason']}"), file=sys.stderr)
    return max((CODES[row["verdict"]] for row in rows), key=lambda code: (code == 1, code))


def _csv_limits(options: argparse.Namespace) -> Mapping[str, float] | float:
    from soakd import csvfile

    if options.limits is not None:
        if options.limit is not None:
            raise ConfigError("judge: give either --limit or --limits")
        return csvfile.read_limits(Path(options.limits))
    try:
        limit = parse_growth_rate(options.limit or "1MB/h")
    except ValueError as error:
        raise ConfigError(f"--limit: {error}") from error
    if limit <= 0:
        raise ConfigError(f"--limit: must be above 0, got {options.limit}")
    return limit


def verdict(options: argparse.Namespace) -> int:
    """Show the verdict file of a run."""
    found = rundir.find(options.run, Path(options.runs))
    read = read_verdict(found)
    if options.json:
        sys.stdout.write(escaped_json(read.text))
    else:
        _show(read.content, found)
    return CODES[read.content["verdict"]]


def install_units(options: argparse.Namespace) -> int:
    """Write the systemd units for the environment in use, or show them."""
    written = unitfiles.here()
    if options.print:
        for path, text in written.items():
            print(f"# /{path}\n{text}")
        return 0
    for path in unitfiles.install(Path(options.root), written):
        print(f"wrote {path}")
    print(
        "next: systemctl daemon-reload; put a configuration into /etc/soakd/NAME.toml; systemctl start soakd@NAME; "
        "systemctl status soakd@NAME"
    )
    return 0


def list_runs(options: argparse.Namespace) -> int:
    """List the runs, oldest first, each with its verdict."""
    folder = Path(options.runs)
    listed = {run.path: run for run in [*rundir.list_runs(folder), *list_unstarted(folder)]}
    runs = [(found, *_state_of(found)) for found in sorted(listed.values(), key=rundir.by_age)]
    if options.json:
        told = [
            {"run": found.run_id, "path": str(found.path), "state": state, "summary": words}
            for found, state, words in runs
        ]
        sys.stdout.write(rundir.to_json({"runs": told}))
        return 0
    for found, state, words in runs:
        print(escaped(f"{found.run_id:40}  {state:13} {words}"))
    return 0


def _state_of(found: RunDir) -> tuple[str, str]:
    """Return a run's state and sentence for the list; a damaged run must not hide the others."""
    if is_unstarted(found):
        if found.is_running():
            return "RUNNING", "begins"
        return "UNSTARTED", f"{NEVER_STARTED}; soakd prune removes it"
    try:
        read = verdictfile.read(found)
    except JournalError as error:
        return ("RUNNING" if found.is_running() else "UNKNOWN"), str(error)
    note = "" if read.is_sealed else " (not sealed)"
    return ("RUNNING" if found.is_running() else read.content["verdict"]), read.content["summary"] + note


def export(options: argparse.Namespace) -> int:
    """Write every reading as one row: engine, segment, clocks, signal, value."""
    found = rundir.find(options.run, Path(options.runs))
    if options.output is None:
        _write_csv(found, sys.stdout)
        return 0
    try:
        with open(options.output, "w", encoding="utf-8", newline="") as file:
            _write_csv(found, file)
    except OSError as error:
        raise PreflightError(f"{options.output}: cannot be written: {error.strerror}") from error
    return 0


def _write_csv(found: RunDir, file: TextIO) -> None:
    writer = csv.writer(file)
    writer.writerow(["engine", "segment", "wall_s", "boot_s", "mono_s", "signal", "value"])
    writer.writerows(_rows(found))


def _rows(found: RunDir) -> Iterator[list[Any]]:
    for record in journal.read_records(found.journal, "sample"):
        for signal, value in record.body.items():
            if type(value) in (int, float):
                yield [escaped(record.engine or "soakd"), record.segment, *record.at, escaped(signal), value]


def _refuse(findings: list[preflight.Finding]) -> None:
    for finding in findings:
        if finding.level == "warning":
            print(f"soakd: warning: {mask(finding.text)}", file=sys.stderr)
    errors = [finding.text for finding in findings if finding.level == "error"]
    if errors:
        raise PreflightError("\nsoakd: ".join(errors))


def _soak(plan: Plan, found: RunDir, options: argparse.Namespace, resumed: Resumption | None = None) -> int:
    from soakd import log
    from soakd.daemon import Daemon
    from soakd.display import LiveDisplay

    faulthandler.enable()  # what systemd's watchdog ends says where it hung
    on_terminal = sys.stdout.isatty() and sys.stderr.isatty()
    log.configure("warning" if on_terminal and options.log_level == "info" else options.log_level, options.log_format)
    with LiveDisplay(enabled=on_terminal) as display:
        daemon = Daemon(plan, found, on_progress=display.update, resumption=resumed)
        outcome = asyncio.run(daemon.soak())
    if outcome.left is not None:
        print(f"soakd: {found.path}: left unfinished ({outcome.left}); soakd run --resume {found.path} goes on with it")
        return LEFT
    if not journald.is_stderr():  # there the verdict is an entry already, and a table would be a hundred
        _show(outcome.verdict, found)
    if outcome.failure:
        print(f"soakd: {mask(outcome.failure)}", file=sys.stderr)
        return 5
    return 128 + outcome.signal if outcome.signal else CODES[outcome.verdict["verdict"]]


def _show(result: Mapping[str, Any], found: RunDir) -> None:
    from soakd.display import print_closing

    names = (rundir.VERDICT, rundir.SUMMARY, rundir.JUNIT, rundir.REPORT, rundir.JOURNAL, rundir.ENVIRONMENT)
    with contextlib.suppress(BrokenPipeError, SystemExit):  # rich exits where nobody reads: the verdict still is one
        print_closing(result, [found.path / name for name in names if (found.path / name).is_file()])
