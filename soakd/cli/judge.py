"""`soakd judge`: judge a run again, or any series in a CSV file."""

import argparse
import csv
import sys
from collections.abc import Mapping
from pathlib import Path

from soakd.cli.exit_codes import CODES
from soakd.cli.show_verdict import show_verdict
from soakd.cli.stderr import complain
from soakd.errors import ConfigError, JournalError
from soakd.plaintext import escaped
from soakd.record import run_folder, verdict_file
from soakd.record.run_folder import RunDir
from soakd.report import summaries
from soakd.units import parse_growth_rate
from soakd.verdict.types import Verdict


def judge(options: argparse.Namespace) -> int:
    """Judge a run again and show the verdict, or judge the series of a CSV file."""
    if (options.run is None) == (options.csv is None):
        raise ConfigError("judge: give either a RUN or --csv FILE")
    return _judge_run(options) if options.csv is None else _judge_csv(options)


def _judge_run(options: argparse.Namespace) -> int:
    from soakd.judge import judge as judging  # numpy and scipy are loaded only if something is judged

    if options.parent is not None:
        judging.end_with(options.parent)
    found = run_folder.find(options.run, Path(options.runs))
    if options.live:
        judging.be_nice()
    result = judging.judge(found, live=options.live)
    if not options.live:
        summaries.write(result, found)
        if options.parent is None and (found.path / run_folder.REPORT).is_file():
            _renew_report(found, result)
    if options.json:
        sys.stdout.write(verdict_file.read(found).text)
    elif not options.quiet:
        show_verdict(result, found)
    return CODES[result.verdict]


def _renew_report(found: RunDir, result: Verdict) -> None:
    """Update an existing report to the new verdict; the exit code is the verdict's."""
    from soakd.report import files

    try:
        files.write_report(found, result, output=None)
    except JournalError as error:
        complain(f"the report was not updated: {error}")


def _judge_csv(options: argparse.Namespace) -> int:
    from soakd.judge import csvfile  # numpy, as above

    columns = csvfile.TableColumns(
        time=options.time, value=options.value, segment=options.segment, group=options.group, heap=options.heap,
        time_unit=options.time_unit, value_unit=options.value_unit, skip=options.skip,
    )  # fmt: skip
    rows = csvfile.judge_file(Path(options.csv), columns, _csv_limits(options))
    writer = csv.DictWriter(sys.stdout, csvfile.FIELDS, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    for row in rows:
        if row["verdict"] != "PASS" and row["reason"]:
            complain(escaped(f"{row['id']}: {row['reason']}"))
    return max((CODES[row["verdict"]] for row in rows), key=lambda code: (code == 1, code))


def _csv_limits(options: argparse.Namespace) -> Mapping[str, float] | float:
    from soakd.judge import csvfile

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
