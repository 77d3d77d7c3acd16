"""`soakd flamegraph`: draws where surviving bytes were allocated, as one page."""

import argparse
from pathlib import Path

from soakd.cli.stderr import complain
from soakd.errors import JournalError
from soakd.plaintext import escaped
from soakd.record import run_folder
from soakd.report.call_trees import collect


def flamegraph(options: argparse.Namespace) -> int:
    """Write the flame graphs of a run as one page."""
    from soakd.report import flamegraph as graphs

    run = run_folder.find(options.run, Path(options.runs))
    flames = collect(run, options.engine)
    if not flames:
        of = f"engine {options.engine}" if options.engine else "any engine"
        raise JournalError(f"{run.path}: no deep look has found growth in {of}: there is nothing to draw")
    path = Path(options.output) if options.output else run.path / run_folder.FLAMES
    title = f"{run.run_id}: {options.engine}" if options.engine else run.run_id
    run_folder.write_atomically(path, graphs.page(title, flames))
    for flame in flames:
        if flame.note:
            complain(escaped(f"{flame.engine}: {flame.note}: drawn from the sites that were named"))
    print(escaped(f"wrote {path}"))
    return 0
