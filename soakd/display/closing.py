"""What stands on the screen when a run has ended: the checks, one sentence, what could be seen, the files.

On a terminal a table; elsewhere one plain line a check, each with its engine's name, so that grep finds it.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from soakd.display.words import STYLES, control_word, leak_check, limit_words, value_words
from soakd.status import printable

RUN = "run"
"""Stands in the engines' column for checks of the run as a whole."""
INFORMATIONAL = "informational"
INDENT = "  "
LONGEST_TEXT = 4000


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
    if console is None:
        console = Console(
            force_terminal=True if color else None, no_color=None if color is None else not color, highlight=False
        )
    rows = list(rows_of(verdict))
    state = str(verdict.get("verdict", "INCOMPLETE"))
    summary = printable(verdict.get("summary") or "", LONGEST_TEXT)
    sentence = Text.assemble((state, STYLES.get(state, "")), f": {summary}" if summary else "")
    visible = [Text(printable(line, LONGEST_TEXT)) for line in verdict.get("visibility") or ()]
    show = _show_plain if not console.is_terminal or console.is_dumb_terminal else _show_table
    show(console, rows, sentence, visible)
    console.print()
    for path in files:
        console.print(Text(printable(path, LONGEST_TEXT)), soft_wrap=True)


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
        note = f"{INFORMATIONAL}; {note}" if note else INFORMATIONAL
    word = control_word(kind, state) or state
    return Row(engine, printable(check.get("id")), word, value_words(check), limit_words(check), note)


def _show_table(console: Console, rows: Sequence[Row], sentence: Text, visible: Sequence[Text]) -> None:
    console.print()
    console.print(_table(rows, console.width))
    if notes := list(_notes(rows)):
        console.print("", *notes, sep="\n")
    console.print("", sentence, sep="\n")
    for line in visible:
        console.print(Padding(line, (0, 0, 0, len(INDENT))))


def _show_plain(console: Console, rows: Sequence[Row], sentence: Text, visible: Sequence[Text]) -> None:
    """Print lines that are never broken, so that a check and its numbers are found together."""
    for line in [*map(Text, _plain(rows)), Text(), sentence, *(Text(INDENT) + line for line in visible)]:
        console.print(line, soft_wrap=True)


def _table(rows: Sequence[Row], width: int) -> Table:
    """Draw the checks under their engines' names; only the names of checks give way to a narrow terminal."""
    gap = 2
    heads = ("check", "state", "estimate", "limit")
    widths = [max(len(head), *(len(row[i + 1]) for row in rows)) if rows else len(head) for i, head in enumerate(heads)]
    widths[0] = max(8, min(widths[0] + len(INDENT), width - sum(widths[1:]) - gap * (len(widths) - 1)))
    table = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0), header_style="bold dim")
    for head, cells in zip(heads, widths, strict=True):
        table.add_column(head, width=cells, no_wrap=True, overflow="ellipsis")
    before = None
    for row in rows:
        if row.engine != before:
            table.add_row(Text(row.engine, style="bold"))
            before = row.engine
        style = "dim" if row.note.startswith(INFORMATIONAL) else ""
        state = Text(row.state, style=STYLES.get(row.state, ""))
        table.add_row(Text(INDENT + row.check), state, row.value, row.limit, style=style)
    return table


def _notes(rows: Sequence[Row]) -> Iterator[Text]:
    """Say why, of every check that decides and did not pass."""
    for row in rows:
        if row.note and not row.note.startswith(INFORMATIONAL) and row.state not in ("PASS", "flat", "caught"):
            yield Text.assemble((f"{row.engine} {row.check}", "bold"), f": {row.note}")


def _plain(rows: Sequence[Row]) -> Iterator[str]:
    widths = [max((len(row[i]) for row in rows), default=0) for i in range(4)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row[:4], widths, strict=True)]
        limit = f"limit {row.limit}" if row.limit else ""
        yield "  ".join([*cells, "  ".join(part for part in (limit, row.note) if part)]).rstrip()
