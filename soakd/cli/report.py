"""`soakd report`: writes the report of a run."""

import argparse
import sys
from pathlib import Path

from soakd.cli.show_verdict import read_verdict
from soakd.plaintext import escaped
from soakd.record import run_folder
from soakd.units import format_bytes


def report(options: argparse.Namespace) -> int:
    """Write the report of a run; the exit code says only whether it was written."""
    from soakd.judge.judge import end_with
    from soakd.report import files  # numpy is loaded only if something is computed

    found = run_folder.find(options.run, Path(options.runs))
    output = Path(options.output) if options.output else None
    if options.parent is not None:
        end_with(options.parent)
    paths = files.write_report(found, read_verdict(found).verdict, output=output)
    written = [(path, path.stat().st_size) for path in paths]
    if options.json:
        told = {"run": found.run_id, "files": [{"path": str(path), "bytes": size} for path, size in written]}
        sys.stdout.write(run_folder.to_json(told))
    elif not options.quiet:
        for path, size in written:
            print(escaped(f"{path}: {format_bytes(size)}"))
    return 0
