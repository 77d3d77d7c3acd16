"""Why a worker ended too early, and what a silent one does, in words."""

import signal

from soakd.daemon.workers.worker import Worker, last_line
from soakd.procs import proc
from soakd.procs.exits import describe_status, out_of_memory
from soakd.procs.output import printable

AFTER_BYE = " after its work was done, while the interpreter shut down"


def is_in_order(worker: Worker, status: int, *, stopping: bool) -> bool:
    """Return whether a worker ended as it should: by itself and with status 0, after `bye`.

    Args:
        worker: one that has ended.
        status: its exit status, or minus the signal.
        stopping: the run ends early: a worker that has not begun sends no `bye`, and SIGTERM may come with a shutdown.
    """
    if worker.killed_for is not None:
        return False
    if worker.bye is not None:
        return status == 0
    return stopping and (status in (0, -signal.SIGTERM) or worker.start_failure is not None)


def describe_end(worker: Worker, status: int) -> tuple[str, str, dict[str, str]]:
    """Describe an end that was not in order.

    Returns:
        The kind of the incident, a sentence, and further fields of the incident.
    """
    if worker.start_failure is not None:
        return "start_failed", worker.start_failure, {}
    if worker.killed_for is not None:
        return "hang", worker.killed_for, {}
    late = "" if worker.bye is None else AFTER_BYE
    if status < 0:
        found = out_of_memory(status, worker.kills)
        words = found.pop("words", None)
        return "crash", describe_status(status) + late + (f", {words}" if words else ""), found
    return "exit", f"exited with status {status}{late or ' before its time'}{last_line(worker)}", {}


def describe_silence(worker: Worker, entered: str | None) -> str:
    """Describe what a silent worker does; `entered` is the phase that it entered last."""
    if proc.is_stopped(worker.outside):
        return "stopped by a signal"
    return f"{'close()' if entered == 'close' else 'an operation'} does not return"


def describe_staying(worker: Worker) -> str:
    """Describe what keeps a process whose work is done: it waits for threads, then calls `atexit` handlers."""
    if proc.is_stopped(worker.outside):
        return "stopped by a signal"
    if worker.bye is not None and (threads := worker.bye.threads):
        names = ", ".join(printable(name.encode("utf-8", "replace")) for name in threads)
        return f"{'a thread' if len(threads) == 1 else 'threads'} that the engine left running ({names})"
    return "an atexit handler or a finalizer does not return"
