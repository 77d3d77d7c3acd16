"""Operations that raise: all are counted by the driver, a few are kept as examples."""

import traceback

from soakd.worker.pipes import RecordPipe

MOST_EXAMPLES = 20
TRACEBACK_CHARACTERS = 4000


class ErrorsSeen:
    """Sends one example of each place that raises, at most `MOST_EXAMPLES` a life."""

    def __init__(self, records: RecordPipe) -> None:
        self._records = records
        self._places: set[tuple[str, str, int]] = set()

    def __call__(self, error: Exception) -> None:
        """Take note of one error of an operation."""
        place = _place(error)
        if place in self._places or len(self._places) >= MOST_EXAMPLES:
            return
        self._places.add(place)
        text = "".join(traceback.format_exception(error))
        self._records.send(
            "incident",
            {
                "what": "operation_error",
                "detail": traceback.format_exception_only(error)[-1].strip()[:500],
                "traceback": text[-TRACEBACK_CHARACTERS:],
            },
        )


def _place(error: Exception) -> tuple[str, str, int]:
    step = error.__traceback__
    while step is not None and step.tb_next is not None:
        step = step.tb_next
    if step is None:
        return type(error).__name__, "", 0
    return type(error).__name__, step.tb_frame.f_code.co_filename, step.tb_lineno
