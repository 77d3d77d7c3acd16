"""Exceptions on one line, for a user's eyes."""

import traceback


def one_line(error: BaseException) -> str:
    """Return the last line of the exception's own traceback, such as "KeyError: 'x'"."""
    lines = traceback.format_exception_only(error)[-1].strip().splitlines()
    return lines[0] if lines else type(error).__name__
