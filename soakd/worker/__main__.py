"""`python -m soakd.worker CONTROL_FD RECORD_FD`: started by the supervisor, never by hand."""

import ctypes
import faulthandler
import os
import signal
import sys
import traceback
from functools import partial

from soakd.errors import EngineError
from soakd.wire.spec import WorkerSpec
from soakd.worker.life import live
from soakd.worker.pipes import ControlClosed, ControlPipe, RecordPipe, let_go

PR_SET_PDEATHSIG = 1


def main() -> int:
    """Run one life of the engine; return 0 after a full one, 3 if the engine could not be started."""
    control = ControlPipe(int(sys.argv[1]))
    _die_with_parent(control)
    # Whatever the engine prints goes to the supervisor's stderr tail: it cannot reach the records.
    os.dup2(2, 1)
    faulthandler.enable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        order = control.wait()
    except ControlClosed:
        return 0
    spec = WorkerSpec.from_json(order["spec"])
    records = RecordPipe(int(sys.argv[2]), spec.engine, spec.segment, order["key"])
    os.register_at_fork(after_in_child=partial(let_go, control, records))
    try:
        return _live(spec, control, records)
    finally:
        records.copies.end_here()  # a forked copy must not run the engine's exit handlers


def _live(spec: WorkerSpec, control: ControlPipe, records: RecordPipe) -> int:
    try:
        return live(spec, control, records)
    except ControlClosed:
        return 0
    except EngineError as error:
        records.send("incident", {"what": "start_failed", "detail": str(error)})
        records.drain(5.0)
        return 3
    except SystemExit as error:
        traceback.print_exception(error)  # Python itself would exit without printing a reason
        return error.code if isinstance(error.code, int) else int(error.code is not None)


def _die_with_parent(control: ControlPipe) -> None:
    """Ask the kernel to kill this process when its parent dies, even during an operation that never returns."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() == 1 and not os.isatty(control.fd):
        try:
            control.poll()  # if the parent died before the request, the pipe is closed
        except ControlClosed:
            raise SystemExit(0) from None


if __name__ == "__main__":
    raise SystemExit(main())
