"""Reads and shows the verdict of a run: the table of checks and the files."""

import contextlib

from soakd.cli.stderr import complain
from soakd.plaintext import escaped
from soakd.record import run_folder, verdict_file
from soakd.record.run_folder import RunDir
from soakd.record.verdict_file import VerdictFile
from soakd.verdict.types import Verdict


def read_verdict(found: RunDir) -> VerdictFile:
    """Read the verdict file of a run to show or compare; note one that is not sealed.

    Raises:
        BrokenVerdictError: it is not a verdict, or was changed after it was written.
        JournalError: it is missing.
    """
    read = verdict_file.read(found)
    if not read.is_sealed:
        complain(escaped(f"note: {found.verdict}: {verdict_file.NOT_SEALED}"))
    return read


def show_verdict(result: Verdict, found: RunDir) -> None:
    """Print the table of checks, the summary and the files of a run that has ended."""
    from soakd.live.terminal import print_closing

    names = (
        run_folder.VERDICT,
        run_folder.SUMMARY,
        run_folder.JUNIT,
        run_folder.REPORT,
        run_folder.JOURNAL,
        run_folder.ENVIRONMENT,
    )
    with contextlib.suppress(BrokenPipeError, SystemExit):  # rich exits if nothing reads its output
        print_closing(result, [found.path / name for name in names if (found.path / name).is_file()])
