"""Journal -> verdict files. A short separate process (`python -m soakd judge`), so that the daemon has no numpy.

The daemon runs it with `--live` during the run and once at the end; a user runs the same code a year later.
"""

import ctypes
import os
import signal
from typing import Any

from soakd.errors import JournalError
from soakd.judge.conclude.verdict import make_verdict
from soakd.judge.story.assemble import assemble
from soakd.judge.story.rundata import RunData
from soakd.record import journal, run_folder, verdict_file
from soakd.record.clocks import clock_shifts, on_one_clock
from soakd.setup.plan_json import plan_from_dict
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
    meta = journal.read_meta(run.journal)
    data = load(run, meta)
    verdict = masked(make_verdict(data, meta, running=live, artifacts=() if live else _artifacts(run)).as_dict())
    return Verdict.from_dict(verdict_file.write(run, verdict))


def load(run: run_folder.RunDir, meta: dict[str, Any] | None = None) -> RunData:
    """Read everything recorded of a run.

    Raises:
        JournalError: the journal cannot be read.
    """
    meta = meta or journal.read_meta(run.journal)
    if "plan" not in meta or "run_id" not in meta:
        raise JournalError(f"{run.journal}: holds no run: its plan was never written")
    resumed = clock_shifts(journal.read_records(run.journal, "phase", engine=""))
    return assemble(plan_from_dict(meta["plan"]), on_one_clock(journal.read_records(run.journal, *KINDS), resumed))


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
