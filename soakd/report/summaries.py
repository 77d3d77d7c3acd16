"""The summaries of a verdict beside its file: Markdown and JUnit."""

from soakd.record.run_folder import JUNIT, SUMMARY, RunDir, write_atomically
from soakd.report.junit import junit
from soakd.report.markdown import markdown
from soakd.verdict.types import Verdict
from soakd.wire.masking import masked


def write(verdict: Verdict, run: RunDir) -> None:
    """Write the summaries of a verdict into the folder of its run, without secrets that an older file may hold.

    Raises:
        JournalError: a file cannot be written.
    """
    verdict = without_secrets(verdict)
    write_atomically(run.path / JUNIT, junit(verdict))
    write_atomically(run.path / SUMMARY, markdown(verdict))


def without_secrets(verdict: Verdict) -> Verdict:
    """Hide what an older soakd may have written into a verdict file."""
    return Verdict.from_dict(masked(verdict.as_dict()))
