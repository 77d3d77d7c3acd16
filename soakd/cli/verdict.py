"""`soakd verdict`: shows the verdict of a run."""

import argparse
import sys
from pathlib import Path

from soakd.cli.exit_codes import CODES
from soakd.cli.show_verdict import read_verdict, show_verdict
from soakd.plaintext import escaped_json
from soakd.record import run_folder


def verdict(options: argparse.Namespace) -> int:
    """Show the verdict file of a run."""
    found = run_folder.find(options.run, Path(options.runs))
    read = read_verdict(found)
    if options.json:
        sys.stdout.write(escaped_json(read.text))
    else:
        show_verdict(read.verdict, found)
    return CODES[read.verdict.verdict]
