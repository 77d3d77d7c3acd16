"""`soakd snapshot`: takes heap snapshots and deep looks of a live run."""

import argparse
import sys
from pathlib import Path
from typing import Any

from soakd.cli import remote
from soakd.cli.stderr import complain
from soakd.errors import JournalError, RefusedError
from soakd.plaintext import escaped
from soakd.record import run_folder

REFUSED = 2
"""Exit code if an engine refused the request."""


def snapshot(options: argparse.Namespace) -> int:
    """Request heap snapshots or deep looks of a live run; show each result as it arrives."""
    from soakd.live.terminal import snapshots as lines

    run, engine = remote.find(options.run, Path(options.runs))
    names = [options.engine or engine] if options.engine or engine else remote.engines_of(run)
    answers: list[dict[str, Any]] = []
    refused: list[dict[str, str]] = []
    for name in map(str, names):
        try:
            answer = remote.ask(run, name, deep=options.deep)
        except JournalError as error:
            goes_on = isinstance(error, RefusedError)  # continue with the other engines
            if not goes_on and not answers:
                raise
            refused.append({"engine": name, "why": str(error)})
            complain(escaped(str(error)))
            if goes_on:
                continue
            break
        if not options.json:
            print("\n" * bool(answers) + "\n".join(map(escaped, lines.snapshot_lines(answer))), flush=True)
        answers.append(answer)
    if options.json:
        sys.stdout.write(run_folder.to_json({"run_id": run.run_id, "engines": answers, "refused": refused}))
    return REFUSED if refused else 0
