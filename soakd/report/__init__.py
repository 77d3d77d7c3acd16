"""What a run leaves for readers and machines beside its verdict file. Shows, never computes."""

from collections.abc import Mapping
from typing import Any

from soakd.masking import masked
from soakd.report.junit import junit
from soakd.report.markdown import markdown
from soakd.rundir import JUNIT, SUMMARY, RunDir, write_atomically


def write(verdict: Mapping[str, Any], run: RunDir) -> None:
    """Write the summaries of a verdict into the folder of its run, without secrets that an older one may hold.

    Raises:
        JournalError: a file cannot be written.
    """
    verdict = masked(verdict)
    write_atomically(run.path / JUNIT, junit(verdict))
    write_atomically(run.path / SUMMARY, markdown(verdict))
