"""`soakd top`: shows the live table of a run."""

import argparse
import contextlib
import time
from pathlib import Path

from soakd.cli.run_view import RunView, aftermath
from soakd.errors import PreflightError
from soakd.record import run_folder

TOP_EVERY_S = 1.0


def top(options: argparse.Namespace) -> int:
    """Show a run's live table until it ends or the user quits."""
    from soakd.live.terminal import LiveDisplay, print_status

    view = RunView(run_folder.find(options.run, Path(options.runs)))
    if options.json:
        return _top_for_programs(view)
    display = LiveDisplay(screen=True)
    if not display.shows:
        raise PreflightError("top: needs a terminal; soakd status shows a run once, and --json for programs")
    with contextlib.suppress(KeyboardInterrupt), display:
        while view.run.is_running():
            view.catch_up()
            display.update(view.status, view.now_s)
            time.sleep(TOP_EVERY_S)
    view.catch_up()
    print_status(view.status, view.now_s, aftermath(view))
    view.check_verdict()
    return 0


def _top_for_programs(view: RunView) -> int:
    """Write the state of a run, one line of JSON each time; the last one when it has ended."""
    goes_on = True
    with contextlib.suppress(KeyboardInterrupt):
        while goes_on:
            goes_on = view.run.is_running()
            view.catch_up()
            print(run_folder.to_json_line(view.as_dict()), flush=True)
            time.sleep(TOP_EVERY_S if goes_on else 0)
    view.check_verdict()
    return 0
