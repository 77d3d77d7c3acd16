"""What stands on the screen when a run has ended: the checks, one sentence, what could be seen, the files.

On a terminal a table; elsewhere one plain line a check, each with its engine's name, so that grep finds it.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from soakd.live.status import printable
from soakd.live.terminal.compared import plain_comparisons, print_comparisons
from soakd.live.terminal.console import PlainConsole
from soakd.live.terminal.sites import site_lines
from soakd.verdict.severity import may_decide
from soakd.verdict.wording import STYLES, control_word, leak_check, limit_words, value_words

RUN = "run"
"""Stands in the engines' column for checks of the run as a whole."""
INFORMATIONAL = "informational"
WAIVED = "waived"
"""In place of the state of a check that fails and is known."""
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
    minor: bool
    """It decides nothing and brings no bad news: left out where room is dear."""

    @property
    def cells(self) -> tuple[str, str, str, str]:
        """What stands in the columns after the engine's."""
        return self.check, self.state, self.value, self.limit


def print_closing(verdict: Mapping[str, Any], files: Sequence[Path], *, console: Console | None = None) -> None:
    """Print the end of a run on stdout.

    Args:
        verdict: the content of `verdict.json`.
        files: what the run leaves behind.
        console: where to print instead.
    """
    console = console or PlainConsole(highlight=False)
    rows = list(rows_of(verdict))
    state = str(verdict.get("verdict", "INCOMPLETE"))
    summary = printable(verdict.get("summary") or "", LONGEST_TEXT)
    sentence = Text.assemble((state, STYLES.get(state, "")), f": {summary}" if summary else "")
    visible = [Text(printable(line, LONGEST_TEXT)) for line in verdict.get("visibility") or ()]
    if not console.is_terminal or console.is_dumb_terminal:
        _show_plain(console, [*_plain(rows), *plain_comparisons(verdict), *site_lines(verdict)], sentence, visible)
    else:
        _show_table(console, rows, verdict, sentence, visible)
    console.print()
    for path in files:
        console.print(Text(printable(path, LONGEST_TEXT)), soft_wrap=True)


def rows_of(verdict: Mapping[str, Any]) -> Iterator[Row]:
    """Yield the checks of every engine in the file's order, then those of the run."""
    for engine in verdict.get("engines") or ():
        checks = engine.get("checks") or ()
        leak = leak_check({str(check.get("id")): check for check in checks})
        for check in checks:
            yield _row(engine, check, is_leak_check=check is leak)
    for check in verdict.get("checks") or ():
        yield _row({"name": RUN}, check, is_leak_check=False)


def _row(engine: Mapping[str, Any], check: Mapping[str, Any], *, is_leak_check: bool) -> Row:
    check_id, state, role = printable(check.get("id")), str(check.get("verdict")), engine.get("role")
    decides = not check.get("informational") and (role != "rival" or may_decide(role, check_id))
    minor = bool(check.get("informational")) and state != "FAIL"
    if role == "control" and not is_leak_check:  # a control answers one question; else only what broke is news
        decides, minor = False, state == "PASS" or check_id.startswith(("growth.", "latency."))
    note = printable(check.get("reason") or "")
    if "waived" in check:
        return Row(
            printable(engine.get("name")), check_id, WAIVED, value_words(check), limit_words(check), note, minor=False
        )
    if not decides:
        note = f"{INFORMATIONAL}; {note}" if note else INFORMATIONAL
    word = (control_word(str(engine.get("kind")), state) if is_leak_check else None) or state
    return Row(printable(engine.get("name")), check_id, word, value_words(check), limit_words(check), note, minor)


def _show_table(
    console: Console, rows: Sequence[Row], verdict: Mapping[str, Any], sentence: Text, visible: Sequence[Text]
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
    """Print lines that are never broken, so that a check and its numbers are found together."""
    for line in [*map(Text, lines), Text(), sentence, *(Text(INDENT) + line for line in visible)]:
        console.print(line, soft_wrap=True)


def _table(rows: Sequence[Row], width: int) -> Table:
    """Draw the checks under their engines' names; only the names of checks give way to a narrow terminal."""
    heads = ("check", "state", "estimate", "limit")
    shown = [row for row in rows if not row.minor]
    widths = [max(len(head), *(len(row.cells[i]) for row in shown), 0) for i, head in enumerate(heads)]
    widths[0] += len(INDENT)
    gap = 2 if sum(widths) + 2 * (len(widths) - 1) <= width else 1
    widths[0] = max(8, min(widths[0], width - sum(widths[1:]) - gap * (len(widths) - 1)))
    table = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0), header_style="bold dim")
    for head, cells in zip(heads, widths, strict=True):
        table.add_column(head, width=cells, no_wrap=True, overflow="ellipsis")
    for engine, group in itertools.groupby(rows, key=lambda row: row.engine):
        table.add_row(Text(engine, style="bold"))
        _add_group(table, list(group))
    return table


def _add_group(table: Table, rows: Sequence[Row]) -> None:
    for row in rows:
        if not row.minor:
            style = "dim" if row.note.startswith(INFORMATIONAL) else ""
            state = Text(row.state, style=STYLES.get(row.state, ""))
            table.add_row(Text(INDENT + row.check), state, row.value, row.limit, style=style)
    if minor := sum(row.minor for row in rows):
        table.add_row(Text(f"{INDENT}and {minor} {INFORMATIONAL}", style="dim"))


def _notes(rows: Sequence[Row]) -> Iterator[Text]:
    """Say why, of every check that decides and did not pass."""
    for row in rows:
        if row.note and not row.note.startswith(INFORMATIONAL) and row.state not in ("PASS", "flat", "caught"):
            yield Text.assemble((f"{row.engine} {row.check}", "bold"), f": {row.note}")


def _plain(rows: Sequence[Row]) -> Iterator[str]:
    columns = [(row.engine, *row.cells[:3]) for row in rows]
    widths = [max(map(len, column)) for column in zip(*columns, strict=True)]
    for row, cells in zip(rows, columns, strict=True):
        limit = f"limit {row.limit}" if row.limit else ""
        padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
        yield "  ".join([*padded, "  ".join(part for part in (limit, row.note) if part)]).rstrip()
