"""A console for text from anywhere: only soakd's own control codes move the cursor or change colors."""

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from soakd.plaintext import escaped_lines


class PlainConsole(Console):
    """A console that escapes control characters in all text."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render as rich does; rich's own control codes are not text, and are kept."""
        for segment in super().render(renderable, options):
            if segment.control is None and not segment.text.isprintable():
                yield Segment(escaped_lines(segment.text), segment.style)
            else:
                yield segment
