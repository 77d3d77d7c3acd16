"""`soakd run`: runs a soak, or resumes one."""

import argparse
import asyncio
import dataclasses
import faulthandler
import sys
from pathlib import Path

from soakd.cli.exit_codes import CODES
from soakd.cli.old_runs import is_finished, make_room
from soakd.cli.planning import plan_of, run_path, try_engines
from soakd.cli.show_verdict import read_verdict, show_verdict
from soakd.cli.stderr import complain
from soakd.daemon import journald, preflight
from soakd.daemon.ending import EXIT_LEFT
from soakd.daemon.preflight import trial
from soakd.daemon.sdnotify import Notifier
from soakd.errors import ConfigError, JournalError, PreflightError
from soakd.plaintext import escaped
from soakd.procs import proc
from soakd.record import journal, kept_secrets, resume, run_folder
from soakd.record.resume import Resumption
from soakd.record.run_folder import RunDir
from soakd.record.unstarted import NEVER_STARTED, clear, is_unstarted
from soakd.report import summaries
from soakd.setup.config_diff import changed_keys
from soakd.setup.notify import kept_text
from soakd.setup.plan import Plan
from soakd.setup.toml import read_text
from soakd.wire.masking import mask


def run(options: argparse.Namespace) -> int:
    """Run or resume a soak; the exit code is its verdict."""
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
    """Return the run that `--resume` names, or the newest unfinished one of a folder; None if there is none.

    Raises:
        JournalError: it names a run that does not exist.
    """
    if options.resume:
        runs = run_folder.list_runs(Path(options.resume))
        if not runs:
            named = [RunDir(path) for path in (Path(options.resume), Path(options.runs) / options.resume)]
            return next(filter(is_unstarted, named), None) or run_folder.find(options.resume, Path(options.runs))
    elif options.run_dir:
        chosen = RunDir(Path(options.run_dir))
        return chosen if chosen.journal.is_file() and not is_unstarted(chosen) else None
    else:
        runs = run_folder.list_runs(Path(options.runs))
    return next((run for run in reversed(runs) if not is_finished(run)), None)


def _resume(run: RunDir, options: argparse.Namespace) -> int:
    """Resume a run where another daemon left it; show a finished one."""
    found = RunDir.reopen(run.path)
    if resume.is_sealed(found.journal):
        try:
            return _show_finished(found)
        finally:
            found.unlock()
    journal.check_whole(found.journal)
    resumed = resume.look_back(found.journal, proc.now(), run_folder.boot_id())
    resumed = dataclasses.replace(resumed, plan=kept_secrets.restored(found.path, resumed.plan))
    if changed := _changed_keys(resumed.plan, options):
        said = f"{options.config}: changed since the run began ({', '.join(changed)}): it goes on as it began"
        complain(f"warning: {escaped(said)}")
        resumed = dataclasses.replace(resumed, changed=changed)
    try:
        _refuse(asyncio.run(_resume_findings(resumed, found)))
    except PreflightError as error:
        complain(error)
        complain(escaped(f"{found.path}: left unfinished; fix the cause and resume it"))
        found.unlock()
        return EXIT_LEFT
    return _soak(resumed.plan, found, options, resumed)


async def _resume_findings(resumed: Resumption, found: RunDir) -> list[preflight.Finding]:
    return [finding async for finding in trial.check_again(resumed.plan, found.path, resumed.left_ratio)]


def _changed_keys(plan: Plan, options: argparse.Namespace) -> tuple[str, ...]:
    """Return the settings in file and command line that changed since the run began."""
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
    """Show the verdict of a sealed run; judge it first if its daemon did not."""
    from soakd.judge import judge as judging  # numpy and scipy are loaded only if something is judged

    Notifier().ready("the run is finished")  # a service that ended well
    try:
        result = read_verdict(found).verdict
        if result.verdict != "INCOMPLETE":
            print(escaped(f"{found.path}: is finished, so it is not resumed"))
            show_verdict(result, found)
            return CODES[result.verdict]
    except JournalError as error:
        complain(f"{error}; it is judged now")
    result = judging.judge(found, live=False)
    summaries.write(result, found)
    show_verdict(result, found)
    return CODES[result.verdict]


def _refuse(findings: list[preflight.Finding]) -> None:
    for finding in findings:
        if finding.level == "warning":
            complain(f"warning: {finding.text}")
    errors = [finding.text for finding in findings if finding.level == "error"]
    if errors:
        raise PreflightError("\nsoakd: ".join(errors))


def _soak(plan: Plan, found: RunDir, options: argparse.Namespace, resumed: Resumption | None = None) -> int:
    from soakd.daemon import log
    from soakd.daemon.daemon import Daemon
    from soakd.live.terminal import LiveDisplay

    faulthandler.enable()  # a process ended by systemd's watchdog shows where it hung
    on_terminal = sys.stdout.isatty() and sys.stderr.isatty()
    log.configure("warning" if on_terminal and options.log_level == "info" else options.log_level, options.log_format)
    with LiveDisplay(enabled=on_terminal) as display:
        daemon = Daemon(plan, found, on_progress=display.update, resumption=resumed)
        outcome = asyncio.run(daemon.soak())
    ending, verdict = outcome.ending, outcome.verdict
    if verdict is None:
        said = f"{found.path}: left unfinished ({ending.reason}); soakd run --resume {found.path} continues it"
        print(escaped(f"soakd: {said}"))
        return EXIT_LEFT
    if not journald.is_stderr():  # the service's log has the verdict as one entry; a table would be a hundred
        show_verdict(verdict, found)
    if ending.failure:
        complain(ending.failure)
    return CODES[verdict.verdict] if ending.exit_code is None else ending.exit_code
