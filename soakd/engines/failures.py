"""Exceptions on one line, for a user's eyes."""

import traceback

MOST_CHARACTERS = 300


def one_line(error: BaseException) -> str:
    """Return the exception as its own traceback ends, such as "KeyError: 'x'": lines joined, and cut if it is long."""
    entries = traceback.format_exception_only(error)
    # Indented entries are the source of a SyntaxError; what comes after the message are notes.
    text = next((entry for entry in entries if not entry.startswith(" ")), type(error).__name__)
    cut = text[: 2 * MOST_CHARACTERS]  # megabytes are not split into lines to show the first few
    line = " ".join(part.strip() for part in cut.splitlines() if part.strip())
    if len(line) <= MOST_CHARACTERS and len(cut) == len(text):
        return line
    return line[: MOST_CHARACTERS - 3] + "..."
