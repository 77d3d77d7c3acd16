"""The terminal: what is written to it moves no cursor and changes no color but those of soakd's own."""

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from soakd.plaintext import escaped_lines


class PlainConsole(Console):
    """A console that escapes control characters in all texts, whoever's they are."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render as rich does; its own control codes are no texts, and stay."""
        for segment in super().render(renderable, options):
            if segment.control is None and not segment.text.isprintable():
                yield Segment(escaped_lines(segment.text), segment.style)
            else:
                yield segment
