"""`soakd status`: shows the state of a run on one screen."""

import argparse
import sys
from pathlib import Path

from soakd.cli.run_view import RunView, aftermath
from soakd.record import run_folder


def status(options: argparse.Namespace) -> int:
    """Show the state of a run on one screen."""
    from soakd.live.terminal import print_status

    view = RunView(run_folder.find(options.run, Path(options.runs)))
    if options.json:
        sys.stdout.write(run_folder.to_json(view.as_dict()))
    else:
        print_status(view.status, view.now_s, aftermath(view))
    view.check_verdict()
    return 0
