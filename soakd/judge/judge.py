"""Journal -> verdict files. A short separate process (`python -m soakd judge`), so that the daemon has no numpy.

The daemon runs it with `--live` during the run and once at the end; a user runs the same code a year later.
"""

import ctypes
import os
import signal

from soakd.judge.conclude.verdict import make_verdict
from soakd.judge.story.assemble import assemble
from soakd.judge.story.rundata import RunData
from soakd.record import run_folder, verdict_file
from soakd.record.recording import Recording
from soakd.verdict.types import Artifact, Verdict
from soakd.wire.masking import masked

PR_SET_PDEATHSIG = 1
ARTIFACTS = (run_folder.JOURNAL, run_folder.CONFIG, run_folder.ENVIRONMENT)
KINDS = ("hello", "phase", "sample", "latency", "incident", "bye", "snapshot", "attribution", "server")


def judge(run: run_folder.RunDir, *, live: bool) -> Verdict:
    """Judge a run from its journal alone and write `verdict.json`.

    Args:
        run: the run.
        live: the run is live: judge only what decides, and nothing finally.

    Returns:
        The verdict as written: without secrets, whatever a journal of an older soakd contains.

    Raises:
        JournalError: the journal cannot be read, or the file cannot be written.
    """
    recording = Recording.open(run)
    artifacts = () if live else _artifacts(run)
    verdict = make_verdict(_assembled(recording), recording.meta, running=live, artifacts=artifacts)
    return Verdict.from_dict(verdict_file.write(run, masked(verdict.as_dict())))


def load(run: run_folder.RunDir) -> RunData:
    """Read everything recorded of a run.

    Raises:
        JournalError: the journal cannot be read.
    """
    return _assembled(Recording.open(run))


def _assembled(recording: Recording) -> RunData:
    return assemble(recording.plan, recording.records(*KINDS))


def end_with(parent: int) -> None:
    """End this process with the one that started it, as another judge may then write the files."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)


def be_nice() -> None:
    """Lower the priority of this process, to judge while the engines run."""
    os.nice(10)


def _artifacts(run: run_folder.RunDir) -> list[Artifact]:
    """Describe the files of the run; the journal without its bookkeeping, which readers may change."""
    return [Artifact(**run_folder.file_record(run.path / name)) for name in ARTIFACTS if (run.path / name).is_file()]
