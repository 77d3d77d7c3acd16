"""The output at the end of a run: the checks, a summary, what could be detected, the files.

On a terminal it is a table; elsewhere one plain line per check, with the engine's name, so that grep finds it.
"""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from soakd.live.status import printable
from soakd.live.terminal.compared import plain_comparisons, print_comparisons
from soakd.live.terminal.console import PlainConsole
from soakd.live.terminal.sites import site_lines
from soakd.verdict.rows import CheckRow, rows_of
from soakd.verdict.types import Verdict
from soakd.verdict.wording import STYLES

INFORMATIONAL = "informational"
INDENT = "  "
LONGEST_TEXT = 4000


def print_closing(verdict: Verdict, files: Sequence[Path], *, console: Console | None = None) -> None:
    """Print the end of a run on stdout.

    Args:
        verdict: what the judge says.
        files: the files that the run leaves behind.
        console: where to print instead.
    """
    console = console or PlainConsole(highlight=False)
    rows = list(rows_of(verdict))
    state = verdict.verdict
    summary = printable(verdict.summary, LONGEST_TEXT)
    sentence = Text.assemble((state, STYLES.get(state, "")), f": {summary}" if summary else "")
    visible = [Text(printable(line, LONGEST_TEXT)) for line in verdict.visibility]
    if not console.is_terminal or console.is_dumb_terminal:
        _show_plain(console, [*_plain(rows), *plain_comparisons(verdict), *site_lines(verdict)], sentence, visible)
    else:
        _show_table(console, rows, verdict, sentence, visible)
    console.print()
    for path in files:
        console.print(Text(printable(path, LONGEST_TEXT)), soft_wrap=True)


def _show_table(
    console: Console, rows: Sequence[CheckRow], verdict: Verdict, sentence: Text, visible: Sequence[Text]
) -> None:
    console.print()
    console.print(_table(rows, console.width))
    print_comparisons(console, verdict)
    if notes := list(_notes(rows)):
        console.print("", *notes, sep="\n")
    if sites := [Text(line) for line in site_lines(verdict)]:
        console.print("", *sites, sep="\n")
    console.print("", sentence, sep="\n")
    for line in visible:
        console.print(Padding(line, (0, 0, 0, len(INDENT))))


def _show_plain(console: Console, lines: Sequence[str], sentence: Text, visible: Sequence[Text]) -> None:
    """Print lines without wrapping, so that a check and its numbers stay together."""
    for line in [*map(Text, lines), Text(), sentence, *(Text(INDENT) + line for line in visible)]:
        console.print(line, soft_wrap=True)


def _table(rows: Sequence[CheckRow], width: int) -> Table:
    """Draw the checks under their engines' names; on a narrow terminal only the names of checks are cut."""
    heads = ("check", "state", "estimate", "limit")
    shown = [row for row in rows if not row.minor]
    widths = [max(len(head), *(len(_cells(row)[i]) for row in shown), 0) for i, head in enumerate(heads)]
    widths[0] += len(INDENT)
    gap = 2 if sum(widths) + 2 * (len(widths) - 1) <= width else 1
    widths[0] = max(8, min(widths[0], width - sum(widths[1:]) - gap * (len(widths) - 1)))
    table = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0), header_style="bold dim")
    for head, cells in zip(heads, widths, strict=True):
        table.add_column(head, width=cells, no_wrap=True, overflow="ellipsis")
    for engine, group in itertools.groupby(rows, key=lambda row: printable(row.engine)):
        table.add_row(Text(engine, style="bold"))
        _add_group(table, list(group))
    return table


def _add_group(table: Table, rows: Sequence[CheckRow]) -> None:
    for row in rows:
        if not row.minor:
            name, word, estimate, limit = _cells(row)
            state = Text(word, style=STYLES.get(word, ""))
            table.add_row(Text(INDENT + name), state, estimate, limit, style="dim" if row.informational else "")
    if minor := sum(row.minor for row in rows):
        table.add_row(Text(f"{INDENT}and {minor} {INFORMATIONAL}", style="dim"))


def _notes(rows: Sequence[CheckRow]) -> Iterator[Text]:
    """Return the reasons of every deciding check that did not pass."""
    for row in rows:
        if row.reason and not row.informational and row.state not in ("PASS", "flat", "caught"):
            yield Text.assemble((f"{printable(row.engine)} {printable(row.id)}", "bold"), f": {printable(row.reason)}")


def _plain(rows: Sequence[CheckRow]) -> Iterator[str]:
    columns = [(printable(row.engine), *_cells(row)[:3]) for row in rows]
    widths = [max(map(len, column)) for column in zip(*columns, strict=True)]
    for row, cells in zip(rows, columns, strict=True):
        told = (f"limit {row.limit}" if row.limit else "", _note(row))
        padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
        yield "  ".join([*padded, "  ".join(filter(None, told))]).rstrip()


def _cells(row: CheckRow) -> tuple[str, str, str, str]:
    """Return the cells after the engine's column."""
    return printable(row.id), row.state, row.estimate, row.limit


def _note(row: CheckRow) -> str:
    return "; ".join(filter(None, (INFORMATIONAL if row.informational else "", printable(row.reason))))
