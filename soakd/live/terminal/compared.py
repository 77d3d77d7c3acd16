"""The comparison of a subject with a rival or twin, at the end of a run."""

from collections.abc import Iterator
from typing import NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from soakd.live.status import printable
from soakd.verdict.types import Verdict
from soakd.verdict.wording import figure_name, figure_words, ratio_words

INDENT = "  "
LEAST_NAME = 8
"""Characters of a name that are kept on a narrow terminal."""


class FigureWords(NamedTuple):
    """One figure as text."""

    name: str
    subject: str
    other: str
    ratio: str
    """The other engine's figure as a multiple of the subject's."""


class ComparisonRow(NamedTuple):
    """Two engines and their figures."""

    subject: str
    other: str
    note: str
    figures: list[FigureWords]

    @property
    def title(self) -> str:
        """What is compared, and why that may be unfair or incomplete."""
        return f"{self.other} beside {self.subject}" + (f": {self.note}" if self.note else "")


def comparisons_of(verdict: Verdict) -> Iterator[ComparisonRow]:
    """Yield the comparisons of a verdict, in the file's order."""
    for found in verdict.comparisons:
        figures = [
            FigureWords(figure_name(f), figure_words(f, "subject"), figure_words(f, "other"), ratio_words(f))
            for f in found.figures
        ]
        note = printable("; ".join(filter(None, (found.note, found.missing))))
        yield ComparisonRow(printable(found.subject), printable(found.other), note, figures)


def print_comparisons(console: Console, verdict: Verdict) -> None:
    """Draw a table for each comparison."""
    for comparison in comparisons_of(verdict):
        console.print("", Text(comparison.title, style="bold"), _table(comparison, console.width), sep="\n")


def plain_comparisons(verdict: Verdict) -> Iterator[str]:
    """Return one line per figure, with both names, so that grep finds it."""
    for comparison in comparisons_of(verdict):
        if comparison.note:
            yield comparison.title
        for figure in comparison.figures:
            sides = f"{figure.other}  beside {figure.subject}  {figure.ratio}"
            yield f"{comparison.other} beside {comparison.subject}  {figure.name}  {sides}".rstrip()


def _table(comparison: ComparisonRow, width: int) -> Table:
    """Draw the figures of one comparison; on a narrow terminal names are cut, numbers are not."""
    heads = FigureWords("", comparison.subject, comparison.other, "ratio")
    widths = [max(len(row[i]) for row in (heads, *comparison.figures)) for i in range(len(heads))]
    for i in (1, 2):
        numbers = max((len(figure[i]) for figure in comparison.figures), default=0)
        widths[i] = min(widths[i], max(numbers, width // 5))
    widths[0] = max(LEAST_NAME, min(widths[0] + len(INDENT), width - sum(widths[1:]) - 2 * (len(widths) - 1)))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold dim")
    table.add_column(width=widths[0], no_wrap=True, overflow="ellipsis")
    for head, cells in zip(heads[1:], widths[1:], strict=True):
        table.add_column(Text(head), width=cells, no_wrap=True, overflow="ellipsis", justify="right")
    for figure in comparison.figures:
        table.add_row(*map(Text, (INDENT + figure.name, *figure[1:])))
    return table
