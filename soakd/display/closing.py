"""What stands on the screen when a run has ended: the checks, one sentence, what could be seen, the files.

On a terminal a table; elsewhere one plain line a check, each with its engine's name, so that grep finds it.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from soakd.display.words import STYLES, control_word, leak_check, limit_words, value_words
from soakd.status import printable

RUN = "run"
"""Stands in the engines' column for checks of the run as a whole."""


class Row(NamedTuple):
    """One check as it is shown."""

    engine: str
    check: str
    state: str
    value: str
    limit: str
    note: str


def print_closing(
    verdict: Mapping[str, Any], files: Sequence[Path], *, color: bool | None = None, console: Console | None = None
) -> None:
    """Print the end of a run on stdout.

    Args:
        verdict: the content of `verdict.json`.
        files: what the run leaves behind.
        color: None for what the terminal and NO_COLOR say.
        console: where to print instead.
    """
    console = console or Console(no_color=None if color is None else not color, highlight=False)
    rows = list(rows_of(verdict))
    if console.is_terminal and not console.is_dumb_terminal:
        console.print(_table(rows, console.width))
        for line in _notes(rows):
            console.print(line)
    else:
        for text in _plain(rows):
            _say(console, Text(text))
    state = str(verdict.get("verdict", "INCOMPLETE"))
    sentence = printable(verdict.get("summary", ""), 2000)
    console.print()
    _say(console, Text.assemble((state, STYLES.get(state, "")), f": {sentence}" if sentence else ""))
    for line in verdict.get("visibility") or ():
        _say(console, Text(f"  {printable(line, 2000)}"))
    console.print()
    for path in files:
        _say(console, Text(printable(path, 4096)), whole=True)


def rows_of(verdict: Mapping[str, Any]) -> Iterator[Row]:
    """Yield the checks of every engine in the file's order, then those of the run."""
    for engine in verdict.get("engines") or ():
        name, checks = printable(engine.get("name")), engine.get("checks") or ()
        leak = leak_check({str(check.get("id")): check for check in checks})
        for check in checks:
            kind = str(engine.get("kind")) if check is leak else ""
            yield _row(name, check, kind, decides=engine.get("role") != "rival")
    for check in verdict.get("checks") or ():
        yield _row(RUN, check, "", decides=True)


def _row(engine: str, check: Mapping[str, Any], kind: str, *, decides: bool) -> Row:
    state = str(check.get("verdict"))
    note = printable(check.get("reason") or "")
    if check.get("informational") or not decides:
        note = f"informational; {note}" if note else "informational"
    word = control_word(kind, state) or state
    return Row(engine, printable(check.get("id")), word, value_words(check), limit_words(check), note)


def _table(rows: Sequence[Row], width: int) -> Table:
    """Draw the checks grouped by engine; the columns keep their text whole, names give way first."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0) if width < 100 else (0, 2, 0, 0))
    for head in ("engine", "check", "state", "estimate", "limit"):
        table.add_column(head, no_wrap=True, overflow="ellipsis")
    before = None
    for row in rows:
        if before not in (None, row.engine):
            table.add_section()
        style = "dim" if row.note.startswith("informational") else ""
        state = Text(row.state, style=STYLES.get(row.state, ""))
        name = row.engine if row.engine != before else ""
        table.add_row(Text(name, style="bold"), row.check, state, row.value, row.limit, style=style)
        before = row.engine
    return table


def _notes(rows: Sequence[Row]) -> Iterator[Text]:
    """Say why, of every check that decides and did not pass."""
    for row in rows:
        if row.note and not row.note.startswith("informational") and row.state not in ("PASS", "flat", "caught"):
            yield Text.assemble((f"{row.engine} {row.check}", "bold"), f": {row.note}")


def _plain(rows: Sequence[Row]) -> Iterator[str]:
    widths = [max((len(row[i]) for row in rows), default=0) for i in range(4)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row[:4], widths, strict=True)]
        limit = f"limit {row.limit}" if row.limit else ""
        yield "  ".join([*cells, "  ".join(part for part in (limit, row.note) if part)]).rstrip()


def _say(console: Console, text: Text, *, whole: bool = False) -> None:
    """Print a line: wrapped by words on a terminal, whole elsewhere; paths are never broken."""
    console.print(text, soft_wrap=whole or not console.is_terminal)
