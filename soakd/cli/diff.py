"""`soakd diff`: compares two runs, or two moments of one run."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from soakd.cli.show_verdict import read_verdict
from soakd.errors import ConfigError
from soakd.plaintext import escaped
from soakd.record import run_folder
from soakd.record.recording import Recording
from soakd.report.diff import changed_packages, diff_heaps, diff_runs, differences
from soakd.units import parse_duration

DIFF_CODES: Mapping[str, int] = {"same": 0, "new": 1, "unknown": 3}


def diff(options: argparse.Namespace) -> int:
    """Compare two runs, or two moments of one run."""
    from soakd.live.terminal import differences as lines

    runs = [run_folder.find(name, Path(options.runs)) for name in options.run]
    moments = [_moment(flag, getattr(options, flag)) for flag in ("from", "to")]
    asked = any(moment is not None for moment in moments)
    if len(runs) != (1 if asked else 2):
        raise ConfigError("diff: give either two runs, or one run with --from and --to")
    if asked:
        result = diff_heaps(runs[0], *moments)
        text = lines.heap_lines(result)
    else:
        before, after = runs
        recordings = [Recording.open(run) for run in runs]
        unlike = differences(*(recording.meta for recording in recordings))
        unlike["packages"] = changed_packages(*(recording.records("hello", "phase") for recording in recordings))
        result = diff_runs(read_verdict(before).verdict, read_verdict(after).verdict, unlike)
        text = lines.run_lines(result)
    if options.json:
        sys.stdout.write(run_folder.to_json(result))
    else:
        for line in text:
            print(escaped(line))
    return DIFF_CODES[result["answer"]] if "answer" in result else 0


def _moment(flag: str, text: str | None) -> float | None:
    try:
        return None if text is None else parse_duration(text)
    except ValueError as error:
        raise ConfigError(f"--{flag}: {error}") from error
