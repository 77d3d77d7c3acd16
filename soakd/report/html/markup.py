"""HTML that cannot be written unescaped by mistake: text becomes markup only through here.

Names of engines, messages of exceptions and lines of a server's stderr are somebody else's; `tag` escapes every child
that is not `Html` already, and what HTML cannot hold is shown as the terminal shows it.
"""

from collections.abc import Iterable, Iterator
from html import escape

from soakd.live.status import printable
from soakd.wire.masking import cut

MOST_TEXT = 4000

VOID = frozenset({"meta", "br", "col"})


class Html(str):
    """A text that is markup."""

    __slots__ = ()


def text(value: object, longest: int = MOST_TEXT) -> Html:
    """Escape a text for one line."""
    return Html(escape(printable(value, longest)))


def lines(value: str, longest: int) -> Html:
    """Escape a text of several lines, for `pre`."""
    kept = cut(value, longest).replace("\r\n", "\n").split("\n")
    more = [f"... {len(value) - longest:,} more characters"] if len(value) > longest else []
    return Html("\n".join(escape(printable(line.replace("\t", "    "), longest)) for line in [*kept, *more]))


def tag(name: str, /, *children: "str | Html | Iterable[str | Html]", **attributes: object) -> Html:
    """Write an element; `class_` stands for class, other underscores for dashes. None leaves an attribute out."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{value if isinstance(value, Html) else text(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{given}>" if name in VOID else f"<{name}{given}>{join(children)}</{name}>")


def join(children: "Iterable[str | Html | Iterable[str | Html]]") -> Html:
    """Put children one after the other, escaped where they are no markup."""
    return Html("".join(_flat(children)))


def _flat(children: "Iterable[str | Html | Iterable[str | Html]]") -> Iterator[str]:
    for child in children:
        if isinstance(child, Html):
            yield child
        elif isinstance(child, str):
            yield text(child)
        else:
            yield from _flat(child)


def table(heads: Iterable[str | Html], rows: Iterable[Iterable[str | Html]], *, class_: str | None = None) -> Html:
    """Write a table in a box that scrolls where a phone is too narrow; a cell that is a `td` already stays one."""
    head = tag("thead", tag("tr", (tag("th", h, scope="col") for h in heads)))
    body = tag("tbody", (tag("tr", (_cell(c) for c in row)) for row in rows))
    return tag("div", tag("table", head, body, class_=class_), class_="scroll", tabindex="0", role="region")


def _cell(content: str | Html) -> Html:
    return content if isinstance(content, Html) and content.startswith(("<td", "<th")) else tag("td", content)
