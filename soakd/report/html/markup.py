"""HTML elements written in Python, for charts and their captions. Everything else is in the templates.

Names of engines, messages of exceptions and lines of a server's stderr come from elsewhere; `tag` escapes every child
that is not `Html` already, and shows what HTML cannot hold as the terminal shows it.
"""

from collections.abc import Iterable, Iterator
from html import escape

from soakd.live.status import printable
from soakd.wire.masking import cut

MOST_TEXT, MOST_LINES = 4000, 60_000


class Html(str):
    """A text that is markup."""

    __slots__ = ()

    def __html__(self) -> "Html":
        """Return it as it is, for templates."""
        return self


def text(value: object, longest: int = MOST_TEXT) -> Html:
    """Escape one line of text."""
    return Html(escape(printable(value, longest)))


def lines(value: str, longest: int = MOST_LINES) -> Html:
    """Escape a text of several lines, for `pre`."""
    kept = cut(value, longest).replace("\r\n", "\n").split("\n")
    more = [f"... {len(value) - longest:,} more characters"] if len(value) > longest else []
    return Html("\n".join(escape(printable(line.replace("\t", "    "), longest)) for line in [*kept, *more]))


def tag(name: str, /, *children: "str | Html | Iterable[str | Html]", **attributes: object) -> Html:
    """Return an element. `class_` becomes class, other underscores become dashes; None omits an attribute."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{value if isinstance(value, Html) else text(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{given}>{join(children)}</{name}>")


def join(children: "Iterable[str | Html | Iterable[str | Html]]") -> Html:
    """Join children, escaped where they are not markup."""
    return Html("".join(_flat(children)))


def _flat(children: "Iterable[str | Html | Iterable[str | Html]]") -> Iterator[str]:
    for child in children:
        if isinstance(child, Html):
            yield child
        elif isinstance(child, str):
            yield text(child)
        else:
            yield from _flat(child)


def state_badge(state: object, word: str | None = None) -> Html:
    """Return a state in its colour."""
    return tag("span", word or str(state), class_=f"state {str(state).lower()}")
