"""Examples of operations that raise: the driver counts all of them, a few are recorded in full."""

import linecache
import traceback

from soakd.wire.masking import cut, tail
from soakd.worker.pipes import RecordPipe

MOST_EXAMPLES = 20
TRACEBACK_CHARACTERS = 4000
LINE_CHARACTERS = 500


class ErrorsSeen:
    """Sends one example for each line that raises, at most `MOST_EXAMPLES` per life."""

    def __init__(self, records: RecordPipe) -> None:
        self._records = records
        self._places: set[tuple[str, str, int]] = set()
        _load_what_formatting_needs()

    def __call__(self, error: Exception) -> None:
        """Record an operation's error if it is the first from its line."""
        place = _place(error)
        if place in self._places or len(self._places) >= MOST_EXAMPLES:
            return
        self._places.add(place)
        last, whole = _formatted(error)
        self._records.send("incident", {"what": "operation_error", "detail": last, "traceback": whole})


def _formatted(error: Exception) -> tuple[str, str]:
    """Return the last line and the traceback, both cut to length.

    Python caches every source file that it quotes from, for ever: half a megabyte of growth, cleared here.
    """
    try:
        whole = "".join(traceback.format_exception(error))
        last = traceback.format_exception_only(error)[-1].strip()
        return cut(last, LINE_CHARACTERS), tail(whole, TRACEBACK_CHARACTERS)
    finally:
        linecache.clearcache()


def _load_what_formatting_needs() -> None:
    """Format an error before the baseline: modules that Python imports for it would count as the engine's growth."""
    nothing: dict[str, int] = {}
    try:
        nothing["to mark the part of a line that failed, Python parses the line"]
    except KeyError as error:
        _formatted(error)


def _place(error: Exception) -> tuple[str, str, int]:
    step = error.__traceback__
    while step is not None and step.tb_next is not None:
        step = step.tb_next
    if step is None:
        return type(error).__name__, "", 0
    return type(error).__name__, step.tb_frame.f_code.co_filename, step.tb_lineno
