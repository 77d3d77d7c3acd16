"""Exceptions as one line for the user."""

import traceback
from collections.abc import Iterable

MOST_CHARACTERS = 300


def one_line(error: BaseException) -> str:
    """Return the last line of the exception's traceback, such as "KeyError: 'x'", joined and cut to length."""
    entries = traceback.format_exception_only(error)
    # Indented entries are the source of a SyntaxError; what comes after the message are notes.
    text = next((entry for entry in entries if not entry.startswith(" ")), type(error).__name__)
    cut = text[: 2 * MOST_CHARACTERS]  # do not split megabytes into lines to show the first few
    line = " ".join(part.strip() for part in cut.splitlines() if part.strip())
    if len(line) <= MOST_CHARACTERS and len(cut) == len(text):
        return line
    return line[: MOST_CHARACTERS - 3] + "..."


def place_of(error: BaseException) -> str:
    """Return the place where an exception was raised, such as " (shop.py:12)": the last line of the engine's own code.

    Without one, it is the last line of an installed package, or "" if there is only soakd and Python.
    """
    import sysconfig  # imported only on failure: a worker carries only what it needs
    from pathlib import Path

    soakd = str(Path(__file__).parents[2])
    python = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib")]
    installed = [sysconfig.get_path(name) for name in ("purelib", "platlib")]
    own = other = ""
    step = error.__traceback__
    while step is not None:
        name = step.tb_frame.f_code.co_filename
        place = f" ({Path(name).name}:{step.tb_lineno})"
        if _is_below(name, installed):
            other = place
        elif not name.startswith("<") and not _is_below(name, [soakd, *python]):
            own = place
        step = step.tb_next
    return own or other


def _is_below(name: str, folders: Iterable[str]) -> bool:
    return any(name.startswith(f"{folder}/") for folder in folders)
