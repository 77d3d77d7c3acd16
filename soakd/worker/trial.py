"""The trial of one operation before a run, in a process that ends with it. Imported in a trial only."""

import inspect
from typing import Any

from soakd.worker.engines.failures import one_line, place_of
from soakd.worker.load import Tape
from soakd.worker.pipes import RecordPipe

TRIED = "trial"


def try_once(engine: Any, tape: Tape, records: RecordPipe) -> None:
    """Perform the first operation of the tape, and report what it raised."""
    try:
        engine.operation(next(tape.stream))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it raises is the result
        _report(records, error)
    else:
        _report(records, None)


async def try_once_async(engine: Any, tape: Tape, records: RecordPipe) -> None:
    """Perform the first operation of the tape on the event loop, and report what it raised."""
    try:
        result = engine.operation(next(tape.stream))
        if inspect.isawaitable(result):
            await result
    except (Exception, SystemExit) as error:  # noqa: BLE001 - as above
        _report(records, error)
    else:
        _report(records, None)


def _report(records: RecordPipe, error: BaseException | None) -> None:
    detail = None if error is None else f"{one_line(error)}{place_of(error)}"
    records.send("incident", {"what": TRIED, "detail": detail})
