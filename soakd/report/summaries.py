"""The summaries of a verdict beside its file: Markdown and JUnit."""

from collections.abc import Mapping
from typing import Any

from soakd.record.run_folder import JUNIT, SUMMARY, RunDir, write_atomically
from soakd.report.junit import junit
from soakd.report.markdown import markdown
from soakd.wire.masking import masked


def write(verdict: Mapping[str, Any], run: RunDir) -> None:
    """Write the summaries of a verdict into the folder of its run, without secrets that an older file may hold.

    Raises:
        JournalError: a file cannot be written.
    """
    verdict = masked(verdict)
    write_atomically(run.path / JUNIT, junit(verdict))
    write_atomically(run.path / SUMMARY, markdown(verdict))
