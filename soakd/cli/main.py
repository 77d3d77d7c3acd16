"""The command line's entry point: the parser, and exit codes for every error."""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

from soakd import units
from soakd.cli import stderr
from soakd.cli.stderr import Parser, complain
from soakd.errors import BrokenVerdictError, ConfigError, JournalError, PreflightError, SoakdError

EXIT_CODES = """\
exit codes:
  0  PASS
  1  FAIL
  2  usage or configuration: nothing was started
  3  INCONCLUSIVE
  4  INVALID or INCOMPLETE, or a verdict file that is damaged or was changed
  5  soakd itself failed
  75 left unfinished (SIGHUP, or a shutdown of the host): soakd run --resume continues it
  128+n  ended by signal n; the verdict covers the run until then
"""


RUN = "run:run"
"""A command is "module:function" within soakd.cli."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    try:
        return _perform(parser, options)
    except (ConfigError, PreflightError) as error:
        return _refused(error)
    except BrokenVerdictError as error:
        complain(error)
        return 4 if options.command != RUN else 5
    except JournalError as error:
        complain(error)
        return 2 if options.command != RUN else 5
    except SoakdError as error:
        complain(error)
        return 5
    except BrokenPipeError:
        # buffered output has no reader either, and must not be flushed at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        complain(f"{error.filename or 'output'}: {error.strerror or error}")
        return 5
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001 - 1 would be a FAIL: a broken soakd must never look like a verdict
        return _broken(error)


def _refused(error: ConfigError | PreflightError) -> int:
    """Print every error on a line of its own, and their number."""
    problems = error.problems if isinstance(error, ConfigError) else (str(error),)
    for problem in problems:
        complain(problem)
    if len(problems) > 1:
        complain(f"{len(problems)} errors")
    return 2


def _perform(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    """Import the command's module only: a check needs no journal, `--version` needs nothing."""
    if options.command is None:
        return _usage(parser)
    module, _, name = options.command.partition(":")
    code: int = getattr(importlib.import_module(f"soakd.cli.{module}"), name)(options)
    return code


class _Version(argparse.Action):
    """Prints the version, which is read late because that takes longer than building the parser."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any, **__: Any) -> None:
        print(f"soakd {_version()}")
        parser.exit()


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of the command line."""
    parser = Parser(
        prog="soakd", description="Keep engines under steady load for hours or days, and find out whether they leak.",
        epilog=EXIT_CODES, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--version", action=_Version, nargs=0, help="show program's version number and exit")
    parser.set_defaults(command=None)
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND")
    for add in (_add_soaking, _add_judging, _add_keeping):
        add(subparsers)
    return parser


Commands: TypeAlias = "argparse._SubParsersAction[Parser]"  # noqa: SLF001 - it has no public name


def _add_soaking(subparsers: Commands) -> None:
    init = _add(subparsers, "init", "init:init", "write a commented configuration to start from")
    init.add_argument("path", nargs="?", default="soak.toml", help="the file to write (default: %(default)s)")

    run = _add(subparsers, "run", RUN, "run a soak and write its verdict")
    _add_config_options(run, optional=True)
    run.add_argument(
        "--resume",
        nargs="?",
        const="",
        metavar="RUN",
        help='resume RUN (its folder, its name, or "latest"), or the newest unfinished run of a folder of runs '
        "(default: --runs); if none is unfinished and CONFIG is given, start a new one",
    )
    _add_try_urls(run)
    run.add_argument("--log-level", default="info", choices=("debug", "info", "warning", "error"))
    run.add_argument("--log-format", default="auto", choices=("auto", "console", "json"))

    check = _add(subparsers, "check", "check:check", "find everything that would stop a run, without starting it")
    _add_config_options(check)
    check.add_argument("--json", action="store_true", help="print the findings as JSON")
    check.add_argument(
        "--try", dest="try_engines", action="store_true",
        help="start every engine and server, perform one operation of each engine, and show its errors; "
        "without this option nothing is started",
    )  # fmt: skip
    _add_try_urls(check)
    check.add_argument("--notify", action="store_true", help="send a test event to the recipients in [notify]")


def _add_judging(subparsers: Commands) -> None:
    judge = _add(subparsers, "judge", "judge:judge", "judge a run again from its journal alone, or any series in a CSV")
    _add_run_options(judge, optional=True)
    _add_csv_options(judge)
    judge.add_argument("--live", action="store_true", help="judge a live run: what is known so far")
    judge.add_argument("--parent", type=int, help=argparse.SUPPRESS)  # the daemon that it ends with
    judge.add_argument("--json", action="store_true", help="print the verdict file instead of a table")
    judge.add_argument("--quiet", action="store_true", help="write the files and print nothing")

    verdict = _add(subparsers, "verdict", "verdict:verdict", "show the verdict of a run")
    _add_run_options(verdict)
    verdict.add_argument("--json", action="store_true", help="print the file unchanged")

    status = _add(subparsers, "status", "status:status", "show the state of a run on one screen")
    _add_run_options(status, default="latest")
    status.add_argument("--json", action="store_true", help="print everything that is known, as JSON")

    top = _add(subparsers, "top", "top:top", "show the live table of a run; Ctrl-C does not stop the run")
    _add_run_options(top, default="latest")
    top.add_argument("--json", action="store_true", help="print everything that is known, a line of JSON per second")

    diff = _add(
        subparsers, "diff", "diff:diff", "compare two runs, leak by leak, or two moments of one run, heap by heap"
    )
    diff.add_argument("run", metavar="RUN", nargs="+", help='one or two of: a run\'s folder, its name, or "latest"')
    diff.add_argument("--from", metavar="D", help="compare the heap of one run from D after its origin, such as 6h")
    diff.add_argument("--to", metavar="D", help="to D (default: from the start to the end of the load phase)")
    diff.add_argument("--json", action="store_true", help="print the whole comparison as JSON")
    _add_runs_option(diff)

    report = _add(subparsers, "report", "report:report", "write a run's report: one HTML file, Markdown and JUnit")
    _add_run_options(report)
    report.add_argument(
        "--output", metavar="FILE", help="the HTML file to write (default: report.html in the run's folder)"
    )
    report.add_argument("--json", action="store_true", help="print the files and their sizes as JSON")
    report.add_argument("--quiet", action="store_true", help="write the files and print nothing")
    report.add_argument("--parent", type=int, help=argparse.SUPPRESS)

    _add_drawings(subparsers)


def _add_keeping(subparsers: Commands) -> None:
    listing = _add(subparsers, "list", "list_runs:list_runs", "list the runs")
    _add_runs_option(listing)
    listing.add_argument("--json", action="store_true", help="print the list as JSON")

    install = _add(
        subparsers, "install-units", "install_units:install_units", "write the systemd units for this environment"
    )
    install.add_argument("--print", action="store_true", help="print them and write nothing")
    install.add_argument(
        "--root", default="/", metavar="DIR", help="the root folder to write below (default: %(default)s)"
    )

    prune = _add(
        subparsers,
        "prune",
        "prune:prune",
        "remove old runs; never a live one, and one that may still be resumed only with --unfinished",
    )
    prune.add_argument("config", nargs="?", help="a configuration whose [retention] says what to keep")
    prune.add_argument("--runs", default="runs", metavar="DIR", help="the folder of runs (default: %(default)s)")
    prune.add_argument("--keep", type=int, metavar="N", help="keep the newest N finished runs")
    prune.add_argument("--older-than", metavar="D", help='remove only runs that ended longer ago than D, such as "30d"')
    prune.add_argument(
        "--unfinished", action="store_true", help="also remove runs that may still be resumed, except a live one"
    )
    prune.add_argument("--dry-run", action="store_true", help="show what would be removed, and remove nothing")

    export = _add(subparsers, "export", "export:export", "write the samples of a run for other tools")
    _add_run_options(export)
    export.add_argument("--csv", action="store_true", required=True, help="comma-separated values, one row per reading")
    export.add_argument("--output", metavar="FILE", help="the file to write (default: standard output)")


def _add_drawings(subparsers: Commands) -> None:
    flames = _add(
        subparsers,
        "flamegraph",
        "flamegraph:flamegraph",
        "draw where surviving bytes were allocated, as one HTML file",
    )
    _add_run_options(flames)
    flames.add_argument("--engine", metavar="NAME", help="only this engine")
    flames.add_argument(
        "--output", metavar="FILE", help="the file to write (default: flamegraph.html in the run's folder)"
    )

    snapshot = _add(subparsers, "snapshot", "snapshot:snapshot", "take a heap snapshot or a deep look of a live run")
    snapshot.add_argument("run", metavar="RUN|PID", help='a run\'s folder, its name, "latest", or the pid of a worker')
    snapshot.add_argument("--engine", metavar="NAME", help="only this engine (default: all but the controls)")
    snapshot.add_argument("--deep", action="store_true", help="find the containers or lines that grow; takes a minute")
    snapshot.add_argument("--json", action="store_true", help="print the whole answer as JSON")
    _add_runs_option(snapshot)


def _add_config_options(parser: argparse.ArgumentParser, *, optional: bool = False) -> None:
    parser.add_argument("config", nargs="?" if optional else None, help="the TOML file")
    parser.add_argument(
        "--duration", metavar="D", help='run for D, such as "60s" or "24h", instead of the file\'s value'
    )
    parser.add_argument("--run-dir", metavar="DIR", help="a new folder for this run (default: under --runs)")
    parser.add_argument("--runs", default="runs", metavar="DIR", help="the folder of runs (default: %(default)s)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE",
        help="override a setting: limits.growth_rate=2MB/h, engine.NAME.rate=100",
    )  # fmt: skip
    parser.add_argument(
        "--only", action="append", default=[], metavar="ENGINE", help="run only this engine (repeatable)"
    )


def _add_try_urls(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--try-urls", action="store_true",
        help="perform the trial operation also with engines that use a server at a url",
    )  # fmt: skip


def _add_csv_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("data that soakd did not record")
    group.add_argument(
        "--csv", metavar="FILE", help="a table with a header line, optionally .gz; one verdict per series"
    )
    group.add_argument("--time", metavar="COLUMN", help="the time, by name or number (default: t_s, time, elapsed ...)")
    shown = "(default: what the column shows)"
    group.add_argument("--time-unit", choices=units.TIME_UNITS, help=f"s, ms, min, h ... or iso {shown}")
    group.add_argument("--value", metavar="COLUMN", help="the memory (default: rss_bytes, value, rss ...)")
    group.add_argument("--value-unit", choices=tuple(units.BYTES), help=f"B, kB, KiB, MB ... {shown}")
    group.add_argument("--segment", metavar="COLUMN", help="changes when the process restarts")
    group.add_argument("--group", metavar="COLUMN", help="the series that a row belongs to; one series without it")
    group.add_argument("--heap", metavar="COLUMN", help="live heap: judged too; tells a leak from fragmentation")
    group.add_argument("--skip", type=int, default=0, metavar="LINES", help="lines above the header (default: 0)")
    group.add_argument("--limit", metavar="RATE", help="allowed growth (default: 1MB/h)")
    group.add_argument("--limits", metavar="FILE", help="a table of limits with the columns id,limit_mb_per_h")


def _add_run_options(
    parser: argparse.ArgumentParser, *, optional: bool = False, default: str | None = None
) -> None:  # fmt: skip
    said = 'a run\'s folder, its name, or "latest"' + (" (default: %(default)s)" if default else "")
    parser.add_argument("run", metavar="RUN", nargs="?" if optional or default else None, default=default, help=said)
    _add_runs_option(parser)


def _add_runs_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--runs", default="runs", metavar="DIR", help="the folder of runs (default: %(default)s)")


def _add(subparsers: Commands, name: str, command: str, text: str) -> argparse.ArgumentParser:
    parser = subparsers.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    parser.set_defaults(command=command)
    return parser


def _broken(error: Exception) -> int:
    """Report an internal error on one line; with SOAKD_TRACEBACK set, print the whole traceback."""
    import traceback

    if os.environ.get("SOAKD_TRACEBACK"):
        stderr.write("".join(traceback.format_exception(error)))
    where = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(where.filename).name}:{where.lineno}"
    complain(
        f"internal error at {place}: {type(error).__name__}: {error}; please report it, with the output "
        "under SOAKD_TRACEBACK=1"
    )
    return 5


def _usage(parser: argparse.ArgumentParser) -> int:
    stderr.write(parser.format_help())
    return 2


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("soakd")
    except PackageNotFoundError:
        return "(not installed)"
